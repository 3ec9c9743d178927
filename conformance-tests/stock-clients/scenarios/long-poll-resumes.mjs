import { CurlPolls } from '../lib/clients.mjs';
import { lengths, resumesExactly } from '../lib/resumes-exactly.mjs';
import { scenario } from '../lib/scenario.mjs';

await scenario('curl with long polling resumes exactly', (world) =>
  resumesExactly(world, new CurlPolls(world), { cuts: lengths(40, 100_000) }));
