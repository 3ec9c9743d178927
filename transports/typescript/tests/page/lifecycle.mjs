import { chromium as playwright } from '../../../../conformance-tests/stock-clients/node_modules/playwright-core/index.mjs';
import { server } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { chromium, expect, scenario, until } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { append, counting, range, Tab } from './lib/tabs.mjs';

await scenario('a page that is offline, frozen or left holds no connection, and misses nothing', async (world) => {
  const program = await (await server(world)).start();
  const proxy = await counting(world, program);
  const launched = await playwright.launch({
    executablePath: chromium,
    args: ['--headless', '--no-sandbox', '--disable-gpu'],
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
  world.defer(() => launched.close());
  const context = await launched.newContext();
  const returned = {};
  for (const transport of ['websocket', 'sse', 'long-poll']) {
    const tab = await Tab.open(context, proxy.origin, `transport=${transport}`);
    const has = async (last, what) => {
      const { numbers } = await tab.until(`has everything ${what}`, ({ numbers, state }) => state === 'live' && numbers.length >= last);
      expect(`the events ${what}`, numbers, range(1, last));
    };
    const before = (await program.ids()).length;
    await append(program, before + 1, before + 50);
    await has(before + 50, 'at the beginning');

    await context.setOffline(true);
    await tab.until('says that it is offline', ({ state, reason }) => state === 'reconnecting' && reason === 'offline');
    await append(program, before + 51, before + 100);
    await context.setOffline(false);
    await has(before + 100, 'after it was offline');

    await tab.freeze();
    await until('a frozen page has no connection', () => proxy.streams() === 0);
    await append(program, before + 101, before + 150);
    await tab.resume();
    await has(before + 150, 'after it was frozen');

    await tab.page.evaluate(() => { window.tab.mark = true; });
    await tab.page.goto(`${proxy.origin}/health/live`);
    await until('a page that was left has no connection', () => proxy.streams() === 0);
    await append(program, before + 151, before + 200);
    await tab.page.goBack({ waitUntil: 'commit' });
    await has(before + 200, 'after it came back');
    returned[transport] = await tab.page.evaluate(() => Boolean(window.tab.mark));
    await tab.page.close();
    await until('a page that was closed has no connection', () => proxy.streams() === 0);
  }
  if (!Object.values(returned).some(Boolean)) throw new Error('no page came back from the back/forward cache');
  return `back from the back/forward cache: ${JSON.stringify(returned)}`;
}, 180_000);
