import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { flightdeck } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

await scenario('a page drops its connection, resumes, and sees the program end', async (world) => {
  const program = await (await flightdeck(world)).start('--speed', '600');
  const deck = await Flightdeck.visit(await browser(world), program.origin);
  const before = await deck.advance(50);
  await deck.page.getByRole('button', { name: 'Drop my connection' }).click();
  await deck.until('is cut off', ({ state }) => state === 'dropped');
  const after = await deck.until('is back', ({ state, received }) => state === 'live' && received > before.received);
  const told = await deck.page.locator('#back').textContent();
  if (!/ events caught up: 0 missed, 0 twice\.$/.test(told)) throw new Error(`the page says: '${told}'`);
  await pauseReplay(program);
  expect('events received twice', await deck.check(program), 0);

  const took = await program.interrupt();
  await deck.until('waits for the server', ({ state }) => state === 'waiting');
  return `${after.received - before.received} events caught up, gaps 0, repeats 0; Ctrl-C took ${Math.round(took)} ms`;
});
