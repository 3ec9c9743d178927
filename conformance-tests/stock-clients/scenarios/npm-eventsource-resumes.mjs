import { NodeEventSource } from '../lib/clients.mjs';
import { resumesExactly } from '../lib/resumes-exactly.mjs';
import { expect, scenario } from '../lib/scenario.mjs';

// It waits for `retry` after each cut, like a browser, so there are few cuts.
const CUTS = [90_001, 300_007, 500_009];

await scenario("npm's eventsource resumes exactly", async (world) => {
  const client = new NodeEventSource(world);
  const figures = await resumesExactly(world, client, { cuts: CUTS });
  expect('refusals, after which it is CLOSED', client.refusals, []);
  return figures;
});
