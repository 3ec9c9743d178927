import { scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { firefox } from './lib/firefox.mjs';
import { smoke } from './lib/smoke.mjs';

await scenario('Firefox follows a feed over every transport', async (world) => smoke(world, await firefox(world)), 300_000);
