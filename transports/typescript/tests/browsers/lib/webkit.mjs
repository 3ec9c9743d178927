// WebKitGTK's small browser, driven by its WebDriver, on a display without a screen.

import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { freePort, run } from '../../../../../conformance-tests/stock-clients/lib/program.mjs';
import { until } from '../../../../../conformance-tests/stock-clients/lib/scenario.mjs';

const BROWSERS = ['4.1', '4.0', '6.0'].map((version) => `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/webkit2gtk-${version}/MiniBrowser`);

export async function webkit(world) {
  const binary = BROWSERS.find(existsSync);
  if (!binary) throw new Error(`there is no MiniBrowser at ${BROWSERS.join(' or ')}: install webkit2gtk-driver`);
  const port = await freePort();
  const env = { ...process.env, DISPLAY: await display(world), HOME: world.folder, LIBGL_ALWAYS_SOFTWARE: '1' };
  const driver = run('WebKitWebDriver', [`--port=${port}`], { stdio: 'ignore', env });
  world.defer(() => driver.kill());
  const ask = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body && { body: JSON.stringify(body) }) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  };
  await until('the driver listens', () => ask('GET', '/status').catch(() => false));
  const capabilities = { alwaysMatch: { 'webkitgtk:browserOptions': { binary, args: ['--automation'] } } };
  const { sessionId } = await ask('POST', '/session', { capabilities });
  const session = `/session/${sessionId}`;
  world.defer(() => ask('DELETE', session).catch(() => {}));
  return {
    goto: (url) => ask('POST', `${session}/url`, { url }),
    back: () => ask('POST', `${session}/back`, {}),
    /** The value of an expression, which is sent as JSON. */
    async read(expression) {
      const text = await ask('POST', `${session}/execute/sync`, { script: `return JSON.stringify(${expression})`, args: [] });
      return text ? JSON.parse(text) : undefined;
    },
  };
}

/** The number of a display that is free, as it says itself. */
async function display(world) {
  const server = run('Xvfb', ['-displayfd', '1', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'pipe', 'ignore'] });
  world.defer(() => server.kill());
  for await (const number of createInterface({ input: server.stdout })) return `:${number.trim()}`;
  throw new Error('Xvfb ended, and has no display');
}
