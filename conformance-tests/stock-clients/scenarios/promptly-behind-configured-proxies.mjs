import { Curl, CurlPolls } from '../lib/clients.mjs';
import { haproxy } from '../lib/haproxy.mjs';
import { Log } from '../lib/log.mjs';
import { nginx } from '../lib/nginx.mjs';
import { server } from '../lib/program.mjs';
import { promptly } from '../lib/promptly.mjs';
import { expect, scenario } from '../lib/scenario.mjs';
import { Ws } from '../lib/sockets.mjs';

const MIB = 2 ** 20;

// The configurations are those in the book.
await scenario('every transport and the appends of a page pass nginx and haproxy configured as in the book', async (world) => {
  // The proxies add forwarding headers. Without this option the server refuses such requests.
  const program = await (await server(world)).start('--open-to-everyone');
  const proxies = {
    nginx: await nginx(world, program.origin, new URL('../proxies/nginx.conf', import.meta.url)),
    haproxy: await haproxy(world, program.origin, new URL('../proxies/haproxy.cfg', import.meta.url)),
  };
  const clients = Object.keys(proxies)
    .flatMap((name) => [new Curl(world), new CurlPolls(world), new Ws(world)].map((client) => [name, client]));
  for (const [name, client] of clients) await client.follow(proxies[name]);
  const figures = await promptly(new Log(program.origin), clients);

  for (const [name, origin] of Object.entries(proxies)) {
    expect(`a large append of a page behind ${name}`, await append(origin, origin), 201);
    expect(`one of another page behind ${name}`, await append(origin, 'http://evil.test'), 403);
  }
  return `${figures}, appends of 4 MiB`;
});

/** The status that a page of the origin `from` gets when it appends four large events. */
async function append(origin, from) {
  const event = { type: 'FlightDelayed', data: 'x'.repeat(MIB - 2) };
  const answer = await fetch(`${origin}/streams/flight-UA1545`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Origin: from },
    body: JSON.stringify(Array(4).fill(event)),
  });
  return answer.status;
}
