import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Cutter } from '../../../../conformance-tests/stock-clients/lib/cutter.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { flightdeck } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, pause, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { BoardAnswers } from './lib/board-answers.mjs';

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const CUTS = 6;
const SAMPLES = 12;

await scenario(`the board equals the answer at its cursor under random cuts, seed ${SEED}`, async (world) => {
  const random = generator(SEED);
  const program = await (await flightdeck(world)).start('--speed', '600');
  const cutter = await Cutter.between(world, program.origin, []);
  const answers = new BoardAnswers(program);
  world.defer(() => answers.end());
  const context = await browser(world);
  let compared = 0;
  for (const transport of ['websocket', 'sse', 'long-poll']) {
    const deck = await Flightdeck.visit(context, cutter.origin, `transport=${transport}`);
    await deck.advance(20);
    for (let round = 0; round < 2; round++) {
      // Short enough to end in the middle of the first rows, and long enough for many changes.
      cutter.cutNow(Array.from({ length: CUTS / 2 }, () => Math.floor(20 ** (2 + 2 * random()))));
      for (let sample = 0; sample < SAMPLES; sample++) {
        await pause(400 * random());
        compared += compare(await deck.board(), answers);
      }
      await deck.advance(20);
    }
    await pauseReplay(program);
    await deck.check(program);
    await deck.page.getByRole('button', { name: 'Resume' }).click();
    await deck.page.close();
  }
  if (compared < 3 * SAMPLES) throw new Error(`only ${compared} boards could be compared`);
  return `${cutter.cuts} cuts, ${compared} boards compared while they changed, and 3 at rest`;
}, 240_000);

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
