import { join } from 'node:path';

import { browser } from '../lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../lib/flightdeck.mjs';
import { flightdeck, replaying } from '../lib/program.mjs';
import { expect, scenario, until } from '../lib/scenario.mjs';
import { backUp, restore } from '../lib/older-copy.mjs';

await scenario("FlightDeck's page shows that its log was replaced, and starts again", async (world) => {
  const file = join(world.folder, 'log.db');
  const program = await replaying(world, file);
  const deck = await Flightdeck.visit(await browser(world), program.origin);
  const codes = [];
  await deck.advance(100);
  await program.interrupt();
  backUp(file);
  await program.start();
  await deck.advance(200);

  // The copy is shorter than what the page has seen.
  await program.interrupt();
  restore(file);
  await program.start('--speed', '1');
  codes.push(await closeBanner(deck));
  await pauseReplay(program);
  await deck.check(program);

  // The copy has grown past what the page has seen before the page reconnects.
  const { cursor } = await deck.read();
  await program.interrupt();
  restore(file);
  const hidden = await (await flightdeck(world, file)).start('--speed', '3600');
  await until('the copy has grown', async () => (await hidden.head()) > cursor);
  await hidden.interrupt();
  await program.start('--speed', '1');
  codes.push(await closeBanner(deck));
  await pauseReplay(program);
  await deck.check(program);

  expect('the codes that the page showed', codes, ['cursor-ahead', 'history-changed']);
  return codes.join(', then ');
});

// Waits for the banner, closes it like a user, and returns the code in it.
async function closeBanner(deck) {
  const banner = deck.page.locator('#banner');
  const text = banner.getByText('The log was replaced');
  await text.waitFor({ timeout: 45_000 });
  const [, code] = /\((.*)\)/.exec(await text.textContent());
  await banner.getByRole('button').click();
  return code;
}
