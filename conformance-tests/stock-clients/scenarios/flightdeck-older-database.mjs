import { join } from 'node:path';

import { browser } from '../lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../lib/flightdeck.mjs';
import { flightdeck } from '../lib/program.mjs';
import { expect, scenario, until } from '../lib/scenario.mjs';
import { backUp, restore } from '../lib/yesterday.mjs';

await scenario("FlightDeck's page tells that its log was replaced, and begins again", async (world) => {
  const file = join(world.folder, 'log.db');
  const program = await (await flightdeck(world, file)).start('--speed', '600');
  const deck = await Flightdeck.visit(await browser(world), program.origin);
  const codes = refusals(deck.page);
  await deck.advance(100);
  await program.interrupt();
  backUp(file);
  await program.start();
  await deck.advance(200);

  // The copy is shorter than what the page has seen.
  await program.interrupt();
  restore(file);
  await program.start('--speed', '1');
  await told(deck);
  await pauseReplay(program);
  await deck.check(program);

  // The copy has grown past what the page has seen, before the page could look.
  const { cursor } = await deck.read();
  await program.interrupt();
  restore(file);
  const elsewhere = await (await flightdeck(world, file)).start('--speed', '3600');
  await until('the copy has grown', async () => (await elsewhere.head()) > cursor);
  await elsewhere.interrupt();
  await program.start('--speed', '1');
  await told(deck);
  await pauseReplay(program);
  await deck.check(program);

  expect('what the page was told', codes, ['cursor-ahead', 'history-changed']);
  return codes.join(', then ');
});

// Waits for the banner, and closes it as a person does.
async function told(deck) {
  const banner = deck.page.locator('#banner');
  await banner.getByText('The log was replaced').waitFor({ timeout: 45_000 });
  await banner.getByRole('button').click();
}

// The codes that the page is given when it asks why its EventSource is CLOSED.
function refusals(page) {
  const codes = [];
  page.on('response', async (response) => {
    if (response.status() === 410 && response.url().includes('limit=')) codes.push((await response.json()).code);
  });
  return codes;
}
