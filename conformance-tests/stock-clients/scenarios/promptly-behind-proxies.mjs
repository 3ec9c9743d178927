import WebSocket from 'ws';

import { Curl, CurlPolls } from '../lib/clients.mjs';
import { haproxy } from '../lib/haproxy.mjs';
import { Log } from '../lib/log.mjs';
import { nginx } from '../lib/nginx.mjs';
import { server } from '../lib/program.mjs';
import { promptly } from '../lib/promptly.mjs';
import { expect, scenario } from '../lib/scenario.mjs';
import { Ws } from '../lib/sockets.mjs';

await scenario('every event passes a default nginx and a default haproxy without delay', async (world) => {
  const program = await (await server(world)).start();
  const proxies = { nginx: await nginx(world, program.origin), haproxy: await haproxy(world, program.origin) };
  const clients = [];
  for (const name of Object.keys(proxies)) clients.push([name, new Curl(world)], [name, new CurlPolls(world)]);
  clients.push(['haproxy', new Ws(world)]);
  for (const [name, client] of clients) await client.follow(proxies[name]);
  const figures = await promptly(new Log(program.origin), clients);

  // A bare `proxy_pass` strips `Upgrade`, and the server's response says what to configure.
  const { status, body } = await refusal(proxies.nginx);
  expect('a socket behind a bare proxy_pass', status, 426);
  const { detail } = JSON.parse(body);
  if (!/proxy/.test(detail)) throw new Error(`the refusal does not name the proxy's lines: ${detail}`);
  return `${figures}, a WebSocket behind a bare proxy_pass gets 426`;
});

// The response to a WebSocket request that is refused.
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
