// Clients that are separate programs, such as curl and a few lines of Python around httpx-sse,
// and npm's `eventsource`.

import { appendFileSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { EventSource } from 'eventsource';

import { envelopes, received } from './envelopes.mjs';
import { run } from './program.mjs';
import { pause, work } from './scenario.mjs';

/** A program that prints what it receives from a feed. */
export class ProgramClient {
  #world;
  #url = '';
  #child = null;
  #events = [];
  #newest = '';
  #cursor = '';
  #stopped = false;

  constructor(world) {
    this.#world = world;
    world.defer(() => {
      this.#stopped = true;
      this.#child?.kill('SIGKILL');
    });
  }

  async follow(origin) {
    this.#url = `${origin}/feed`;
    this.#begin();
  }

  /** The id of the newest event. */
  newest = () => this.#newest;

  received = () => this.#events;

  /** Kills the client with kill -9; the next one resumes after its last complete event. */
  drop() {
    this.#child.kill('SIGKILL');
  }

  #begin() {
    const log = openSync(join(this.#world.folder, `${this.name}.log`), 'a');
    const [command, ...args] = this.command(this.#url, this.#cursor);
    const child = run(command, args, { stdio: ['ignore', 'pipe', log] });
    this.#child = child;
    let rest = Buffer.alloc(0);
    child.stdout.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (let end; (end = rest.indexOf(this.separator)) >= 0; rest = rest.subarray(end + this.separator.length)) {
        for (const message of this.parse(rest.toString('utf8', 0, end))) this.#take(message);
      }
    });
    child.once('close', async () => {
      await pause(20);
      if (!this.#stopped) this.#begin();
    });
  }

  #take({ event = 'message', id, data, refused }) {
    if (refused) appendFileSync(join(this.#world.folder, `${this.name}.log`), `refused: ${refused}\n`);
    if (id) this.#cursor = id;
    if (!data || event !== 'message') return;
    this.#newest = JSON.parse(data).id;
    this.#events.push({ id, data });
  }
}

/** `curl -N -H 'Last-Event-ID: ...'`. */
export class Curl extends ProgramClient {
  name = 'curl';
  separator = '\n\n';

  command(url, cursor) {
    return ['curl', '--silent', '--show-error', '--fail', '-N', '-H', 'Accept: text/event-stream', '-H', `Last-Event-ID: ${cursor}`, url];
  }

  // Parses one block: one field on each line.
  parse(block) {
    const fields = block.split('\n').map((line) => /^([^:]*):? ?(.*)$/s.exec(line).slice(1));
    return [Object.fromEntries(fields)];
  }
}

/** `curl .../feed?wait=10`, repeatedly. */
export class CurlPolls extends ProgramClient {
  name = 'curl, polling';
  // Curl prints it after each response, complete or not; no page contains it.
  separator = '\n';

  command(url, cursor) {
    return ['curl', '--silent', '--show-error', '--fail', '-w', '\n', '-H', `Last-Event-ID: ${cursor}`, `${url}?wait=10&limit=20`];
  }

  parse(text) {
    let page;
    try {
      page = JSON.parse(text);
    } catch {
      return []; // The page is incomplete.
    }
    return [...envelopes(text).map(received), { id: page.cursor }];
  }
}

/** npm's `eventsource`, in this process. */
export class NodeEventSource {
  name = 'eventsource';
  #events = [];
  #newest = '';
  #cursor = '';
  #source = null;
  #url = '';
  /** The statuses after which it was CLOSED. */
  refusals = [];

  constructor(world) {
    world.defer(() => this.#source?.close());
  }

  async follow(origin) {
    this.#url = `${origin}/feed`;
    this.#open();
  }

  newest = () => this.#newest;
  received = () => this.#events;

  drop() {
    this.#source.close();
    this.#open();
  }

  #open() {
    const where = this.#cursor ? { lastEventId: this.#cursor } : { after: 'start' };
    const source = new EventSource(`${this.#url}?${new URLSearchParams(where)}`);
    this.#source = source;
    source.onmessage = ({ lastEventId, data }) => {
      this.#cursor = lastEventId;
      this.#newest = JSON.parse(data).id;
      this.#events.push({ id: lastEventId, data });
    };
    source.onerror = ({ code }) => {
      if (source.readyState === EventSource.CLOSED && code) this.refusals.push(code);
    };
  }
}

/** Python's httpx-sse, which resumes by itself when the connection breaks. */
export class HttpxSse extends ProgramClient {
  name = 'httpx-sse';
  separator = '\n';
  parse = (line) => [JSON.parse(line)];

  command(url, cursor) {
    const program = fileURLToPath(new URL('follow.py', import.meta.url));
    return [join(work, 'python/bin/python'), program, url, cursor];
  }
}
