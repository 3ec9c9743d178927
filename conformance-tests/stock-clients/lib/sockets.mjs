// Clients that follow a feed over a WebSocket: npm's `ws`, Chromium's own, Python's websockets, and websocat.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import WebSocket from 'ws';

import { ProgramClient } from './clients.mjs';
import { envelopes, received } from './envelopes.mjs';
import { work } from './scenario.mjs';
import { SocketReader } from './socket-reader.mjs';

const endpoint = (origin) => `${origin.replace(/^http/, 'ws')}/feed/ws`;

/** npm's `ws`. */
export class Ws {
  name = 'ws';

  constructor(world) {
    world.defer(() => this.reader?.end());
  }

  async follow(origin) {
    this.reader = new SocketReader(WebSocket, endpoint(origin));
  }

  newest = () => this.reader.newest;
  received = () => this.reader.received;
  closed = () => this.reader.closed;
  drop = () => this.reader.drop();
}

/** Chromium's WebSocket. */
export class ChromiumSocket {
  name = "Chromium's WebSocket";

  constructor(context) {
    this.context = context;
  }

  async follow(origin) {
    this.page = await this.context.newPage();
    // A page of the server itself, because Chromium blocks others from the local network.
    await this.page.goto(`${origin}/`);
    const files = ['envelopes.mjs', 'socket-reader.mjs'].map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'));
    const script = files.join('').replaceAll(/^import .*$/gm, '');
    const begin = `window.reader = new SocketReader(WebSocket, ${JSON.stringify(endpoint(origin))});`;
    await this.page.addScriptTag({ type: 'module', content: script + begin });
    await this.page.waitForFunction(() => window.reader);
  }

  newest = () => this.page.evaluate(() => window.reader.newest);
  received = () => this.page.evaluate(() => window.reader.received);
  drop = () => this.page.evaluate(() => window.reader.drop());
}

/** Python's websockets. */
export class Websockets extends ProgramClient {
  name = 'websockets';
  separator = '\n';
  parse = (line) => [JSON.parse(line)];

  command(url, cursor) {
    const program = fileURLToPath(new URL('follow_socket.py', import.meta.url));
    return [join(work, 'python/bin/python'), program, `${url.replace(/^http/, 'ws')}/ws`, cursor];
  }
}

/** websocat, which prints a line for each message. */
export class Websocat extends ProgramClient {
  name = 'websocat';
  separator = '\n';

  parse = (line) => {
    const { frame, cursor, problem } = JSON.parse(line);
    if (problem) return [{ refused: problem.detail }];
    return frame === 'events' ? envelopes(line).map(received) : [{ id: cursor }];
  };

  command(url, cursor) {
    const program = process.env.WEBSOCAT ?? 'websocat';
    // Only receive, and don't split messages.
    const options = ['--unidirectional-reverse', '--buffer-size', String(8 << 20), '--protocol', 'feed.v1.json'];
    return [program, ...options, `${url.replace(/^http/, 'ws')}/ws?after=${cursor || 'start'}`];
  }
}
