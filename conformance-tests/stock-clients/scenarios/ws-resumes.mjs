import { lengths, resumesExactly } from '../lib/resumes-exactly.mjs';
import { scenario } from '../lib/scenario.mjs';
import { Ws } from '../lib/sockets.mjs';

await scenario("npm's ws resumes exactly", (world) =>
  resumesExactly(world, new Ws(world), { cuts: lengths(40, 200_000) }));
