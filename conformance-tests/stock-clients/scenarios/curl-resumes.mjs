import { Curl } from '../lib/clients.mjs';
import { lengths, ordeal } from '../lib/ordeal.mjs';
import { scenario } from '../lib/scenario.mjs';

await scenario("curl -N -H 'Last-Event-ID: …' resumes exactly", (world) =>
  ordeal(world, new Curl(world), { cuts: lengths(40, 200_000) }));
