// Checks that events reach clients one by one, without delay.

import { until } from './scenario.mjs';

const STEPS = 40;

/**
 * Writes one event at a time, the next once all clients have received the one before. If a proxy
 * buffers events until more arrive, this does not finish.
 *
 * @param clients pairs of the name of the proxy and the client behind it: `[name, client]`
 */
export async function promptly(log, clients) {
  let longest = 0;
  for (let n = 0; n < STEPS; n += 1) {
    const since = performance.now();
    await log.append(1);
    const { id } = log.events.at(-1);
    for (const [name, client] of clients) {
      await until(`${client.name} behind ${name} has the newest event`, async () => (await client.newest()) === id);
    }
    longest = Math.max(longest, performance.now() - since);
  }
  for (const [, client] of clients) log.check(await client.received());
  return `${STEPS} events, ${clients.length} clients, each event reached all clients within ${Math.ceil(longest)} ms`;
}
