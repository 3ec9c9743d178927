import { browser } from '../lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../lib/flightdeck.mjs';
import { nginx } from '../lib/nginx.mjs';
import { replaying } from '../lib/program.mjs';
import { expect, scenario } from '../lib/scenario.mjs';

await scenario("FlightDeck's page survives kill -9 of its server, also behind a default nginx", async (world) => {
  const program = await replaying(world);
  const context = await browser(world);
  const direct = await Flightdeck.visit(context, program.origin);
  const behind = await Flightdeck.visit(context, await nginx(world, program.origin));
  const pages = [direct, behind];
  await Promise.all(pages.map((page) => page.advance(100)));

  await program.kill();
  await direct.until('waits for the server', ({ state }) => state === 'reconnecting');
  // nginx answers 502. It does not pass on WebSockets either, so that page has another transport.
  await behind.until('says why', ({ state, detail }) => state === 'reconnecting' && /502/.test(detail));
  await program.start();
  await Promise.all(pages.map((page) => page.advance(100)));

  await pauseReplay(program);
  for (const page of pages) await page.check(program);
  const { received } = await direct.read();
  expect('the transport behind nginx', (await behind.read()).transport, 'sse');
  return `${pages.length} pages of ${received} events, gaps 0, repeats 0`;
});
