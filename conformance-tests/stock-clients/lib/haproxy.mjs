// An haproxy for one scenario, with Debian's default configuration or another.

import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';

import { configuration, freePort, run } from './program.mjs';
import { until } from './scenario.mjs';

const DEFAULT = new URL('haproxy.cfg', import.meta.url);

/** Starts an haproxy in front of the program with this origin, and returns the proxy's origin. */
export async function haproxy(world, origin, file = DEFAULT) {
  const folder = join(world.folder, 'haproxy');
  const near = await freePort();
  mkdirSync(folder);
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(config, configuration(file, near, origin));
  const log = openSync(join(world.folder, 'haproxy.log'), 'a');
  // In the foreground, as one process.
  const child = run('haproxy', ['-db', '-f', config], { stdio: ['ignore', log, log] });
  world.defer(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  const url = `http://127.0.0.1:${near}`;
  await until('haproxy answers', () => {
    if (child.exitCode !== null) throw new Error(`haproxy ended at once, with code ${child.exitCode}`);
    return fetch(url).then(() => true, () => false);
  });
  return url;
}
