// A private nginx with a default configuration.

import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';

import { freePort, run } from './program.mjs';
import { until } from './scenario.mjs';

/** Starts one before a program of ours; gives its origin. */
export async function nginx(world, origin) {
  const folder = join(world.folder, 'nginx');
  const near = await freePort();
  const template = readFileSync(new URL('nginx.conf', import.meta.url), 'utf8');
  mkdirSync(folder);
  writeFileSync(join(folder, 'nginx.conf'), template.replace('NEAR', near).replace('FAR', new URL(origin).port));
  const log = openSync(join(world.folder, 'nginx.log'), 'a');
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
