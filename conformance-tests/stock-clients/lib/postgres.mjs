// A private PostgreSQL server.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../../../backends/postgres/tests/postgres/server.sh', import.meta.url));

/** Starts a server, and returns the URL of its database. */
export async function postgres(world) {
  // It ends, and removes its folder, with its standard input, so also with this process; killing it would leave both.
  const server = spawn('sh', [SERVER, 'plain'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(server, 'exit');
  world.defer(() => {
    server.stdin.end();
    return ended;
  });
  for await (const folder of createInterface(server.stdout)) return `postgres:///postgres?user=downlink&host=${folder}`;
  throw new Error('PostgreSQL did not start');
}
