import { HttpxSse } from '../lib/clients.mjs';
import { lengths, resumesExactly } from '../lib/resumes-exactly.mjs';
import { scenario } from '../lib/scenario.mjs';

await scenario("Python's httpx-sse resumes exactly", (world) =>
  resumesExactly(world, new HttpxSse(world), { cuts: lengths(40, 200_000) }));
