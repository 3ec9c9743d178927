import { Curl } from '../lib/clients.mjs';
import { lengths, resumesExactly } from '../lib/resumes-exactly.mjs';
import { scenario } from '../lib/scenario.mjs';

await scenario("curl -N -H 'Last-Event-ID: …' resumes exactly", (world) =>
  resumesExactly(world, new Curl(world), { cuts: lengths(40, 200_000) }));
