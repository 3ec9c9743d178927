import { nginx } from '../lib/nginx.mjs';
import { server } from '../lib/program.mjs';
import { expect, pause, scenario } from '../lib/scenario.mjs';

const CLIENTS = 48;
const ROUNDS = 4;

// Each client pauses for about as long as the head of a request may take. nginx keeps its
// connections to the server for longer, and does not repeat a POST if one was just closed.
const pauseOf = (client) => pause(9_950 + (client / CLIENTS) * 100);

await scenario('posts with pauses pass an nginx that keeps connections', async (world) => {
  const program = await (await server(world)).start('--open-to-everyone');
  const origin = await nginx(world, program.origin, new URL('../proxies/nginx.conf', import.meta.url));
  const statuses = {};
  const follow = async (client) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      if (round > 0) await pauseOf(client);
      const { status } = await post(origin, client);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => follow(client)));
  expect('the statuses', statuses, { 201: CLIENTS * ROUNDS });
  return `${CLIENTS * ROUNDS} appends of ${CLIENTS} clients`;
});

function post(origin, client) {
  return fetch(`${origin}/streams/flight-${client}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ type: 'FlightDelayed', data: client }),
  });
}
