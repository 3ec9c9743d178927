import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { haproxy } from '../lib/haproxy.mjs';
import { nginx } from '../lib/nginx.mjs';
import { server } from '../lib/program.mjs';
import { expect, scenario } from '../lib/scenario.mjs';

// As clients send them, and as they are stored.
const NAMES = {
  'a%2Fb': 'a/b',
  'a%2F%2Fb': 'a//b',
  'a%2F..%2Fc': 'a/../c',
  'a%2F.': 'a/.',
  '%252e%252e': '%2e%2e',
  'a%20b%3Fc%23d': 'a b?c#d',
  '%C3%85re': 'Åre',
};

const DOTS = ['..', '.', '%2e%2e', '%2E', '.%2e'];

await scenario('the names of streams pass nginx and haproxy configured as in the book', async (world) => {
  const program = await (await server(world)).start('--open-to-everyone');
  const conf = new URL('../proxies/nginx.conf', import.meta.url);
  const proxies = {
    nginx: await nginx(world, program.origin, conf),
    haproxy: await haproxy(world, program.origin, new URL('../proxies/haproxy.cfg', import.meta.url)),
  };
  for (const [proxy, origin] of Object.entries(proxies)) {
    for (const [encoded, name] of Object.entries(NAMES)) {
      const stored = JSON.parse((await send(origin, 'POST', `/streams/${encoded}`, 201)).body);
      expect(`the stream behind ${proxy}`, stored.stream, name);
      const page = JSON.parse((await send(origin, 'GET', `/streams/${encoded}`, 200)).body);
      expect(`the stream read behind ${proxy}`, page.stream, name);
    }
    for (const dots of DOTS) {
      await send(origin, 'POST', `/streams/a/${dots}/c`, 400);
      await send(origin, 'POST', `/streams/${dots}`, 400);
    }
  }
  const { events } = await program.get('limit=1000');
  const stored = [...Object.values(NAMES), ...Object.values(NAMES)];
  expect('the streams of the log', events.map(({ stream }) => stream), stored);

  // With a URI in `proxy_pass`, nginx decodes and resolves the path before it passes it on.
  const wrong = join(world.folder, 'wrong.conf');
  writeFileSync(wrong, readFileSync(conf, 'utf8').replace('proxy_pass http://program;', 'proxy_pass http://program/;'));
  const origin = await nginx(world, program.origin, wrong, 'wrong');
  const resolved = JSON.parse((await send(origin, 'POST', '/streams/a%2F..%2Fc', 201)).body);
  expect('the stream behind a proxy_pass with a URI', resolved.stream, 'c');
  await send(origin, 'POST', '/streams/a%2Fb', 404);
  return `${Object.keys(NAMES).length} names, ${DOTS.length} segments of dots`;
});

/** Sends a request with exactly this path, and checks its status. */
async function send(origin, method, path, status) {
  const { hostname, port } = new URL(origin);
  const headers = method === 'POST' ? { 'Content-Type': 'application/json' } : {};
  const response = await new Promise((answered, failed) => {
    const sent = request({ hostname, port, method, path, headers }, answered);
    sent.on('error', failed);
    sent.end(method === 'POST' ? '{"type":"FlightDeparted","data":{}}' : undefined);
  });
  const body = await text(response);
  expect(`the answer to ${method} ${path}: ${body}`, response.statusCode, status);
  return { body };
}
