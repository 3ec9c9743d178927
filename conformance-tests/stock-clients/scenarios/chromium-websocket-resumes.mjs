import { browser } from '../lib/browser.mjs';
import { lengths, resumesExactly } from '../lib/resumes-exactly.mjs';
import { scenario } from '../lib/scenario.mjs';
import { ChromiumSocket } from '../lib/sockets.mjs';

// Chromium pauses before it reconnects to a host that has failed, longer after each failure, so there are few cuts.
await scenario("Chromium's WebSocket resumes exactly", async (world) =>
  resumesExactly(world, new ChromiumSocket(await browser(world)), { cuts: lengths(6, 200_000) }));
