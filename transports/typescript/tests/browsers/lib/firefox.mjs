// Firefox, driven by WebDriver BiDi, which it speaks without a driver.

import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { WebSocket } from 'ws';

import { run } from '../../../../../conformance-tests/stock-clients/lib/program.mjs';

export async function firefox(world) {
  const args = ['--headless', '--no-remote', '--profile', world.folder, '--remote-debugging-port', '0', 'about:blank'];
  const browser = run('firefox-esr', args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: world.folder } });
  world.defer(() => browser.kill());
  const socket = new WebSocket(`${await address(browser)}/session`);
  await once(socket, 'open');
  const waiting = new Map();
  socket.on('message', (text) => {
    const { id, type, result, error, message } = JSON.parse(String(text));
    const { resolve, reject } = waiting.get(id) ?? {};
    if (type === 'error') reject?.(new Error(`${error}: ${message}`));
    else resolve?.(result);
    waiting.delete(id);
  });
  let last = 0;
  const send = (method, params) => new Promise((resolve, reject) => {
    const id = ++last;
    waiting.set(id, { resolve, reject });
    socket.send(JSON.stringify({ id, method, params }));
  });
  await send('session.new', { capabilities: {} });
  const { contexts: [{ context }] } = await send('browsingContext.getTree', {});
  return {
    goto: (url) => send('browsingContext.navigate', { context, url, wait: 'complete' }),
    back: () => send('browsingContext.traverseHistory', { context, delta: -1 }),
    /** The value of an expression, which is sent as JSON. */
    async read(expression) {
      const target = { context };
      const answer = await send('script.evaluate', { target, expression: `JSON.stringify(${expression})`, awaitPromise: false });
      return answer.type === 'success' && answer.result.value !== undefined ? JSON.parse(answer.result.value) : undefined;
    },
  };
}

async function address(browser) {
  for await (const line of createInterface({ input: browser.stderr })) {
    const [, found] = /WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? [];
    if (found) {
      // It must not block because nothing reads what it says.
      browser.stderr.resume();
      return found;
    }
  }
  throw new Error('Firefox ended, and did not listen');
}
