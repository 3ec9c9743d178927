import { lengths, resumesExactly } from '../lib/resumes-exactly.mjs';
import { scenario } from '../lib/scenario.mjs';
import { Websocat } from '../lib/sockets.mjs';

await scenario('websocat resumes exactly', (world) =>
  resumesExactly(world, new Websocat(world), { cuts: lengths(40, 200_000) }));
