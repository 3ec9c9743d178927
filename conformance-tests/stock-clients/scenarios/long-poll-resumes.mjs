import { CurlPolls } from '../lib/clients.mjs';
import { lengths, ordeal } from '../lib/ordeal.mjs';
import { scenario } from '../lib/scenario.mjs';

await scenario('curl that polls resumes exactly', (world) =>
  ordeal(world, new CurlPolls(world), { cuts: lengths(40, 100_000) }));
