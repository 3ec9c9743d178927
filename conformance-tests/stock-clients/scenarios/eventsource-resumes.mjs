import { browser, EventSourceClient } from '../lib/browser.mjs';
import { resumesExactly } from '../lib/resumes-exactly.mjs';
import { expect, scenario } from '../lib/scenario.mjs';

// The browser waits for `retry` after each cut, so there are few cuts.
const CUTS = [90_001, 300_007, 500_009];

await scenario("Chromium's EventSource resumes exactly", async (world) => {
  const client = new EventSourceClient(await browser(world));
  const figures = await resumesExactly(world, client, { cuts: CUTS });
  expect('refusals, after which an EventSource is CLOSED', await client.answers(), []);
  return figures;
});
