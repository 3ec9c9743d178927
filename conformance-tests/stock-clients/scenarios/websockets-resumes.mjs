import { lengths, resumesExactly } from '../lib/resumes-exactly.mjs';
import { scenario } from '../lib/scenario.mjs';
import { Websockets } from '../lib/sockets.mjs';

await scenario("Python's websockets resumes exactly", (world) =>
  resumesExactly(world, new Websockets(world), { cuts: lengths(40, 200_000) }));
