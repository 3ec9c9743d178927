// What every browser has to do.

import { setTimeout as sleep } from 'node:timers/promises';

import { server } from '../../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, until } from '../../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { append, counting, range } from '../../page/lib/tabs.mjs';

/** Longer than a minute, after which browsers run the timers of hidden pages. */
const FROZEN = 61_000;

/** Follows a feed over every transport: a server that is killed, a page that is frozen, and one that is left. */
export async function smoke(world, browser) {
  const program = await (await server(world)).start();
  const proxy = await counting(world, program);
  const returned = {};
  for (const transport of ['websocket', 'sse', 'long-poll']) {
    const before = (await program.ids()).length;
    const has = async (more, what) => {
      const last = before + more;
      const known = await until(`${transport}: everything ${what}`, async () => {
        const tab = await browser.read('window.tab && { numbers: tab.numbers, state: tab.state, transport: tab.transport }').catch(() => undefined);
        return tab?.state === 'live' && tab.numbers.length >= last && tab;
      });
      expect(`the events ${what}`, known.numbers, range(1, last));
      expect('the transport', known.transport, transport);
    };
    await append(program, before + 1, before + 50);
    await browser.goto(`${proxy.origin}/tab?transport=${transport}`);
    await has(50, 'at the beginning');

    await program.kill();
    await until('the page says so', async () => (await browser.read('tab.state')) === 'reconnecting');
    await program.start();
    await append(program, before + 51, before + 100);
    await has(100, 'after the server was killed');

    await browser.read("document.dispatchEvent(new Event('freeze'))");
    await until('a frozen page has no connection', () => proxy.streams() === 0);
    await append(program, before + 101, before + 150);
    // Once is enough: a page without a connection does not notice how long it takes.
    if (transport === 'websocket') await sleep(FROZEN);
    expect('connections of the frozen page', proxy.streams(), 0);
    await browser.read("document.dispatchEvent(new Event('resume'))");
    await has(150, 'after it was frozen');

    await browser.read('(tab.mark = true)');
    await browser.goto(`${proxy.origin}/health/live`);
    await until('a page that was left has no connection', () => proxy.streams() === 0);
    await append(program, before + 151, before + 200);
    await browser.back();
    await has(200, 'after it came back');
    returned[transport] = (await browser.read('tab.mark')) === true;
  }
  return `back from the back/forward cache: ${JSON.stringify(returned)}`;
}
