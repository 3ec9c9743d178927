import { lengths, ordeal } from '../lib/ordeal.mjs';
import { scenario } from '../lib/scenario.mjs';
import { Websocat } from '../lib/sockets.mjs';

await scenario('websocat resumes exactly', (world) =>
  ordeal(world, new Websocat(world), { cuts: lengths(40, 200_000) }));
