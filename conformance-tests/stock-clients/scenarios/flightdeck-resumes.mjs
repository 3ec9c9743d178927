import { browser } from '../lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../lib/flightdeck.mjs';
import { nginx } from '../lib/nginx.mjs';
import { flightdeck } from '../lib/program.mjs';
import { expect, scenario } from '../lib/scenario.mjs';

await scenario("FlightDeck's page survives kill -9 of its server, also behind a default nginx", async (world) => {
  const program = await (await flightdeck(world)).start('--speed', '600');
  const context = await browser(world);
  const direct = await Flightdeck.visit(context, program.origin);
  const behind = await Flightdeck.visit(context, await nginx(world, program.origin));
  const pages = [direct, behind];
  await Promise.all(pages.map((page) => page.advance(100)));

  await program.kill();
  await direct.until('waits for the server', ({ state }) => state === 'waiting');
  // A 502 has closed its EventSource; the page has asked for the reason and will reconnect.
  await behind.until('has asked for the reason', ({ state, detail }) => state === 'waiting' && /cannot be reached/.test(detail));
  await program.start();
  await Promise.all(pages.map((page) => page.advance(100)));

  await pauseReplay(program);
  for (const page of pages) expect('events received twice', await page.check(program), 0);
  const { received } = await direct.read();
  return `${pages.length} pages of ${received} events, gaps 0, repeats 0`;
});
