import { browser, EventSourceClient } from '../lib/browser.mjs';
import { nginx } from '../lib/nginx.mjs';
import { resumesExactly } from '../lib/resumes-exactly.mjs';
import { expect, scenario, until } from '../lib/scenario.mjs';

// A server that is away makes nginx answer 502, and that ends an EventSource for good: the
// page asks why, and opens another.
await scenario("Chromium's EventSource behind a default nginx resumes exactly", async (world) => {
  const client = new EventSourceClient(await browser(world));
  let deaths = 0;
  const figures = await resumesExactly(world, client, {
    between: (origin) => nginx(world, origin),
    async away() {
      deaths += 1;
      await until('the EventSource is CLOSED and the page has asked', async () => (await client.answers()).length >= deaths);
    },
  });
  const answers = await client.answers();
  expect('the answers to a page whose EventSource is CLOSED', [...new Set(answers)], [502]);
  return `${figures}, CLOSED by 502 ${answers.length} times`;
});
