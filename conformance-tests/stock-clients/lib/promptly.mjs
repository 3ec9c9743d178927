// Checks that events reach clients one by one, without delay.

import { until } from './scenario.mjs';

const STEPS = 40;

/**
 * Writes one event at a time: the next when everybody has the one before, so that something between
 * them that waits for more before it passes anything on is noticed by the order alone.
 *
 * @param clients by what they are behind: `[name, client]`
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
