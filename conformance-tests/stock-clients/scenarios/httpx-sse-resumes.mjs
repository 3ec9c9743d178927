import { HttpxSse } from '../lib/clients.mjs';
import { lengths, ordeal } from '../lib/ordeal.mjs';
import { scenario } from '../lib/scenario.mjs';

await scenario("Python's httpx-sse resumes exactly", (world) =>
  ordeal(world, new HttpxSse(world), { cuts: lengths(40, 200_000) }));
