import { scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { webkit } from './lib/webkit.mjs';
import { smoke } from './lib/smoke.mjs';

await scenario('WebKitGTK follows a feed over every transport', async (world) => smoke(world, await webkit(world)), 300_000);
