// Tabs of one origin with the test page, and a proxy that counts their connections.

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';

import { until } from '../../../../../conformance-tests/stock-clients/lib/scenario.mjs';

const HTML = '<!doctype html><title>tab</title><body><script type="module" src="/page.js"></script>';

/** The test page with the package, as one script. */
async function bundle() {
  const { output } = [await build({
    configFile: false, logLevel: 'error',
    build: {
      write: false, target: 'es2022',
      lib: { entry: fileURLToPath(new URL('page.ts', import.meta.url)), formats: ['es'] },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  })].flat()[0];
  return output[0].code;
}

/** One tab. */
export class Tab {
  static async open(context, origin, parameters = 'share=ann') {
    const tab = new Tab();
    tab.page = await context.newPage();
    await tab.page.goto(`${origin}/tab?${parameters}`);
    return tab;
  }

  read = () => this.page.evaluate(() => ({ ...window.tab }));

  until(what, condition, milliseconds) {
    return until(`a tab ${what}`, async () => {
      const known = await this.read().catch(() => undefined);
      return known && condition(known) && known;
    }, milliseconds);
  }

  /** What a page in the background is told. Chromium freezes no page that is visible, and without a window all of them are. */
  freeze = () => this.page.evaluate(() => document.dispatchEvent(new Event('freeze')));
  resume = () => this.page.evaluate(() => document.dispatchEvent(new Event('resume')));
}

/** Serves the test page at `/tab`, or these files, passes everything else on to the program, and knows how many streams are open. */
export async function counting(world, program, files) {
  const served = files ?? { '/tab': HTML, '/page.js': await bundle() };
  const port = Number(new URL(program.origin).port);
  const streams = new Set();
  const sockets = new Set();
  let opened = 0;
  const count = (stream) => {
    opened += 1;
    streams.add(stream);
    stream.on('close', () => streams.delete(stream));
  };
  const server = createServer((asked, answer) => {
    const [name] = asked.url.split('?');
    const type = name.endsWith('.js') ? 'text/javascript' : 'text/html';
    if (served[name]) return answer.writeHead(200, { 'Content-Type': type }).end(served[name]);
    if (asked.headers.accept === 'text/event-stream') count(answer);
    const { method, url: path, headers } = asked;
    const passed = request({ port, host: '127.0.0.1', method, path, headers }, (from) => {
      answer.writeHead(from.statusCode, from.headers);
      from.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    return asked.pipe(passed);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (asked, near) => {
    count(near);
    const far = connect(port, '127.0.0.1');
    const headers = asked.rawHeaders.reduce((text, part, at) => text + part + (at % 2 ? '\r\n' : ': '), '');
    far.write(`GET ${asked.url} HTTP/1.1\r\n${headers}\r\n`);
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroySoon());
      one.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  world.defer(() => {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  });
  return { origin: `http://127.0.0.1:${server.address().port}`, streams: () => streams.size, opened: () => opened };
}

/** Appends events with these numbers. */
export async function append(program, from, to) {
  const events = Array.from({ length: to - from + 1 }, (_, index) => ({ type: 'Counted', data: { n: from + index } }));
  const answer = await fetch(`${program.origin}/streams/numbers`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(events),
  });
  if (!answer.ok) throw new Error(`append: ${answer.status} ${await answer.text()}`);
}

export const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
