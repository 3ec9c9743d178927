import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { replaying } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

await scenario('a page disconnects, resumes, and notices the end of the program', async (world) => {
  const program = await replaying(world);
  const deck = await Flightdeck.visit(await browser(world), program.origin);
  const before = await deck.advance(50);
  await deck.page.getByRole('button', { name: 'Disconnect' }).click();
  await deck.until('is disconnected', ({ state }) => state === 'disconnected');
  const after = await deck.until('is live again', ({ state, received }) => state === 'live' && received > before.received);
  const shown = await deck.page.locator('#resumed').textContent();
  if (!/ events received, 0 missed, 0 repeated\.$/.test(shown)) throw new Error(`the page shows: '${shown}'`);
  await pauseReplay(program);
  await deck.check(program);

  const took = await program.interrupt();
  await deck.until('waits for the server', ({ state }) => state === 'reconnecting');
  return `${after.received - before.received} events received, gaps 0, repeats 0; Ctrl-C took ${Math.round(took)} ms`;
});
