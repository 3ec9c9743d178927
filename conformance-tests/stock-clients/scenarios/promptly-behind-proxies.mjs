import WebSocket from 'ws';

import { Curl, CurlPolls } from '../lib/clients.mjs';
import { haproxy } from '../lib/haproxy.mjs';
import { Log } from '../lib/log.mjs';
import { nginx } from '../lib/nginx.mjs';
import { server } from '../lib/program.mjs';
import { expect, scenario, until } from '../lib/scenario.mjs';
import { Ws } from '../lib/sockets.mjs';

const STEPS = 40;

// One event at a time: the next is written when everybody has the one before, so a proxy that waits
// for more before it passes something on is noticed by the order alone.
await scenario('every event passes a default nginx and a default haproxy by itself', async (world) => {
  const program = await (await server(world)).start();
  const proxies = { nginx: await nginx(world, program.origin), haproxy: await haproxy(world, program.origin) };
  const clients = [];
  for (const [name, origin] of Object.entries(proxies)) {
    for (const client of [new Curl(world), new CurlPolls(world)]) clients.push(await following(client, name, origin));
  }
  clients.push(await following(new Ws(world), 'haproxy', proxies.haproxy));

  const log = new Log(program.origin);
  for (let n = 0; n < STEPS; n += 1) {
    await log.append(1);
    const { id } = log.events.at(-1);
    for (const { client, name } of clients) {
      await until(`${client.name} behind ${name} has the newest event`, async () => (await client.newest()) === id);
    }
  }
  for (const { client } of clients) log.check(await client.received());

  // A bare `proxy_pass` strips `Upgrade`, and the server says what to write instead.
  const { status, body } = await refusal(proxies.nginx);
  expect('a socket behind a bare proxy_pass', status, 426);
  const { detail } = JSON.parse(body);
  if (!/proxy/.test(detail)) throw new Error(`the refusal does not name the proxy's lines: ${detail}`);
  return `${STEPS} events, ${clients.length} clients, a bare proxy_pass of a socket is told by 426`;
});

// What somebody is answered who asks for a socket and gets none.
function refusal(origin) {
  const socket = new WebSocket(`${origin.replace(/^http/, 'ws')}/feed/ws`, 'feed.v1.json');
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.on('open', () => resolve({ status: 101, body: '{}' }));
    socket.on('unexpected-response', async (_, answer) => {
      const parts = await answer.setEncoding('utf8').toArray();
      resolve({ status: answer.statusCode, body: parts.join('') });
    });
  });
}

async function following(client, name, origin) {
  await client.follow(origin);
  return { client, name };
}
