import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Cutter } from '../../../../conformance-tests/stock-clients/lib/cutter.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { replaying } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, pause, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { BoardAnswers } from './lib/board-answers.mjs';

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const TRANSPORTS = ['websocket', 'sse', 'long-poll'];
const ROUNDS = 2;
const CUTS = 8;
const SAMPLES = 10;

await scenario(`the board equals the answer at its cursor under random cuts, seed ${SEED}`, async (world) => {
  const random = generator(SEED);
  const program = await replaying(world);
  const cutter = await Cutter.between(world, program.origin, []);
  const answers = new BoardAnswers(program);
  world.defer(() => answers.end());
  const context = await browser(world);
  const decks = [];
  for (const transport of TRANSPORTS) decks.push(await Flightdeck.visit(context, cutter.origin, `transport=${transport}`));
  let compared = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(decks.map((deck) => deck.advance(20)));
    // Short enough to end in the middle of the first rows, and long enough for many changes.
    cutter.cutNow(Array.from({ length: CUTS }, () => Math.floor(20 ** (2 + 2 * random()))));
    for (let sample = 0; sample < SAMPLES; sample++) {
      await pause(300 * random());
      for (const deck of decks) compared += compare(await deck.board(), answers);
    }
  }
  await Promise.all(decks.map((deck) => deck.advance(20)));
  await pauseReplay(program);
  for (const deck of decks) await deck.check(program);
  if (compared < 3 * SAMPLES) throw new Error(`only ${compared} boards could be compared`);
  return `${cutter.cuts} cuts, ${compared} boards compared while they changed, and ${decks.length} at rest`;
}, 300_000);

/** Compares a board of the page with the answer of the server at the same cursor, if it was asked there. */
function compare({ cursor, rows }, answers) {
  const answer = answers.at(cursor);
  if (!answer) return 0;
  expect(`the board of the page at ${cursor}`, JSON.stringify(rows) === answer, true);
  return 1;
}

/** Numbers between 0 and 1 that depend on the seed only. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
