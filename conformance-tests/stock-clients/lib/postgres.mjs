// A private PostgreSQL server.

import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { run } from './program.mjs';

const SERVER = fileURLToPath(new URL('../../../backends/postgres/tests/postgres/server.sh', import.meta.url));

/** Starts a server, and returns the URL of its database. */
export async function postgres(world) {
  // It ends, and removes its folder, with its standard input.
  const server = run('sh', [SERVER, 'plain'], { stdio: ['pipe', 'pipe', 'inherit'] });
  world.defer(() => server.stdin.end());
  for await (const folder of createInterface(server.stdout)) return `postgres:///postgres?user=downlink&host=${folder}`;
  throw new Error('PostgreSQL did not start');
}
