// An nginx for one scenario, with a default configuration or another.

import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';

import { configuration, freePort, run } from './program.mjs';
import { until } from './scenario.mjs';

const DEFAULT = new URL('nginx.conf', import.meta.url);

/** Starts an nginx in front of the program with this origin, and returns the proxy's origin. */
export async function nginx(world, origin, file = DEFAULT, name = 'nginx') {
  const folder = join(world.folder, name);
  const near = await freePort();
  mkdirSync(folder);
  writeFileSync(join(folder, 'nginx.conf'), configuration(file, near, origin));
  const log = openSync(join(world.folder, `${name}.log`), 'a');
  const child = run('nginx', ['-p', `${folder}/`, '-c', 'nginx.conf', '-e', 'stderr'], { stdio: ['ignore', log, log] });
  world.defer(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  const url = `http://127.0.0.1:${near}`;
  await until('nginx answers', () => {
    if (child.exitCode !== null) throw new Error(`nginx ended at once, with code ${child.exitCode}`);
    return fetch(url).then(() => true, () => false);
  });
  return url;
}
