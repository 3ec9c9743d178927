import { haproxy } from '../lib/haproxy.mjs';
import { nginx } from '../lib/nginx.mjs';
import { server } from '../lib/program.mjs';
import { expect, scenario } from '../lib/scenario.mjs';
import { senders } from '../lib/senders.mjs';

const MIB = 2 ** 20;
const SIZES = [1, 3, 10, 17];
// The largest body that the server reads and the proxies accept, in MiB.
const LIMIT = 16;

const JSON_BODY = { 'Content-Type': 'application/json' };
const REFUSALS = [
  { status: 403, path: '/streams/s', headers: { ...JSON_BODY, Origin: 'http://evil.test' } },
  { status: 405, path: '/feed', headers: JSON_BODY },
  { status: 415, path: '/streams/s', headers: { 'Content-Type': 'text/plain' } },
  { status: 400, path: '/streams/s?expected=soon', headers: JSON_BODY },
];
const TOO_LARGE = { status: 413, path: '/streams/s', headers: JSON_BODY };

const SHOWN = 20;

// How often every client sends every size over every way.
const times = Number(process.env.EARLY_ANSWERS ?? 1);

await scenario(
  'refusals that come before the body was sent reach every client, directly and behind proxies',
  async (world) => {
    const program = await (await server(world)).start('--open-to-everyone');
    const ways = {
      directly: program.origin,
      'behind nginx': await nginx(world, program.origin, new URL('../proxies/nginx.conf', import.meta.url)),
      'behind haproxy': await haproxy(world, program.origin, new URL('../proxies/haproxy.cfg', import.meta.url)),
    };
    const clients = await senders(world);
    const lost = [];
    let sent = 0;
    for (const [client, send] of Object.entries(clients)) {
      for (const [way, origin] of Object.entries(ways)) {
        const jobs = SIZES.flatMap((mib) => sized(mib, way, origin));
        const answers = await send(jobs);
        expect(`answers to ${client} ${way}`, answers.length, jobs.length);
        sent += jobs.length;
        jobs.forEach(({ status, mib }, n) => {
          if (answers[n] !== status) lost.push(`${client} ${way}, ${mib} MiB: ${answers[n]} instead of ${status}`);
        });
      }
    }
    if (lost.length > 0) {
      const first = lost.slice(0, SHOWN).join('\n');
      throw new Error(`${lost.length} answers of ${sent} were lost; the first of them:\n${first}`);
    }
    return `${sent} answers to ${Object.keys(clients).length} clients, up to ${SIZES.at(-1)} MiB`;
  },
  120_000 + times * 60_000,
);

/** Jobs of one size, each refused for the next reason. */
function sized(mib, way, origin) {
  const reasons = mib > LIMIT ? [TOO_LARGE, ...REFUSALS] : REFUSALS;
  return Array.from({ length: times }, (_, n) => {
    const { status, path, headers } = reasons[(n + SIZES.indexOf(mib)) % reasons.length];
    // nginx itself refuses a body that is too large, whatever else is wrong with the request.
    const seen = way === 'behind nginx' && mib > LIMIT ? TOO_LARGE.status : status;
    return { url: `${origin}${path}`, headers, bytes: mib * MIB, mib, status: seen };
  });
}
