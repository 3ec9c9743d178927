import { once } from 'node:events';
import { copyFileSync, openSync } from 'node:fs';
import { join } from 'node:path';

import { browser, EventSourceClient } from '../lib/browser.mjs';
import { Log } from '../lib/log.mjs';
import { postgres } from '../lib/postgres.mjs';
import { freePort, Program, run } from '../lib/program.mjs';
import { expect, scenario, target, until } from '../lib/scenario.mjs';

/** A file to move instead of a new one: a copy of it. */
const { MOVED_LOG } = process.env;
const ROUND = 60;

await scenario("Chromium's EventSource follows a log to PostgreSQL and back", async (world) => {
  const [first, last] = ['first.db', 'last.db'].map((name) => join(world.folder, name));
  if (MOVED_LOG) copyFileSync(MOVED_LOG, first);
  const stores = [`rusqlite:${first}`, await postgres(world), `rusqlite:${last}`];
  const program = new Program('server', world, await freePort(), ['--allow-append'], '/feed');
  await program.start('--store', stores[0]);
  const log = new Log(program.origin, MOVED_LOG && 'moved/');
  if (!MOVED_LOG) await log.append(ROUND);
  const client = new EventSourceClient(await browser(world));
  await client.follow(program.origin, MOVED_LOG && (await program.head()));

  const moves = [];
  for (const [index, to] of stores.slice(1).entries()) {
    const from = stores[index];
    await Promise.all([log.append(ROUND), copied(world, from, to)]);
    await program.interrupt();
    moves.push(await copied(world, from, to));
    await program.start('--store', to);
    await log.append(ROUND);
    await until('the client has the newest event', async () => (await client.newest()) === log.events.at(-1).id);
  }
  log.check(await client.received());
  expect('refusals for good', (await client.answers()).filter((status) => status >= 400 && status < 500), []);
  return `${log.events.length} events received, moved: ${moves.join('; then ')}`;
}, MOVED_LOG ? 3_600_000 : 120_000);

/** Copies a log; returns what the program says of its comparison. */
async function copied({ folder }, from, to) {
  const log = openSync(join(folder, 'downlink-copy.log'), 'a');
  const copy = run(join(target, 'downlink-copy'), [from, to], { stdio: ['ignore', 'pipe', log] });
  let printed = '';
  copy.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
  const [code] = await once(copy, 'close');
  expect('the exit code of downlink-copy', code, 0);
  const [, identical] = /^(identical: \d+ events)/m.exec(printed) ?? [];
  if (!identical) throw new Error(`downlink-copy has compared nothing: ${printed}`);
  return identical;
}
