import { browser, EventSourceClient } from '../lib/browser.mjs';
import { nginx } from '../lib/nginx.mjs';
import { resumesExactly } from '../lib/resumes-exactly.mjs';
import { expect, scenario, until } from '../lib/scenario.mjs';

// While the server is stopped, nginx answers 502, which closes an EventSource permanently: the
// page asks for the reason and opens another one.
await scenario("Chromium's EventSource behind a default nginx resumes exactly", async (world) => {
  const client = new EventSourceClient(await browser(world));
  let stops = 0;
  const figures = await resumesExactly(world, client, {
    between: (origin) => nginx(world, origin),
    async away() {
      stops += 1;
      await until('the EventSource is CLOSED and the page has asked', async () => (await client.answers()).length >= stops);
    },
  });
  const answers = await client.answers();
  expect('the answers to a page whose EventSource is CLOSED', [...new Set(answers)], [502]);
  return `${figures}, CLOSED by 502 ${answers.length} times`;
});
