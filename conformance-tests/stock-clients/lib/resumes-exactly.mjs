// The cuts, drops and kills that every client has to survive.

import { Cutter } from './cutter.mjs';
import { Log } from './log.mjs';
import { server } from './program.mjs';
import { until } from './scenario.mjs';

const HISTORY = 200;
const ROUND = 60;

/**
 * Lets a client follow a log through failures: first connections are cut in the middle of the
 * history; then, while events are written, the client and the server (by kill -9) fail in turn.
 *
 * @param cuts    after how many bytes each connection is cut
 * @param between starts a proxy in front of the server: takes the server's origin, returns its own
 * @param away    runs while the server is stopped
 * @returns the numbers of events, cuts, drops and kills, as a text
 */
export async function resumesExactly(world, client, { cuts = [], between = (origin) => origin, away = () => {} }) {
  const program = await (await server(world)).start();
  const log = new Log(program.origin);
  await log.append(HISTORY);

  const cutter = await Cutter.between(world, await between(program.origin), cuts);
  await client.follow(cutter.origin);
  const level = () => until(`${client.name} has the newest event`, async () => (await client.newest()) === log.events.at(-1).id);
  await level();
  await inStep(log, level);

  const drop = () => client.drop();
  const kill = async () => {
    await program.kill();
    await away();
    await program.start();
  };
  for (const disturb of [drop, kill, drop, kill]) {
    await Promise.all([log.append(ROUND), halfWay(log).then(disturb)]);
    await level();
  }

  const received = await client.received();
  log.check(received);
  const bytes = received.reduce((sum, { data }) => sum + Buffer.byteLength(data), 0);
  const broken = cuts.length > 0 ? `${cutter.cuts} connections cut, ` : '';
  return `${received.length} events, ${(bytes / 1e6).toFixed(1)} MB, ${broken}2 drops, ${program.starts - 1} kill -9`;
}

// Writes one event at a time, the next once the one before has arrived.
async function inStep(log, level) {
  for (let n = 0; n < 5; n += 1) {
    await log.append(1);
    await level();
  }
}

function halfWay(log) {
  const half = log.events.length + ROUND / 2;
  return until('half of the events are written', () => log.events.length >= half);
}

/** `count` lengths between 1 and `most` in pseudo-random order, the same in every run. */
export const lengths = (count, most) => Array.from({ length: count }, (_, n) => 1 + ((n + 1) * 7_919 * 7_919) % most);
