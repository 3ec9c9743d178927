// Programs that a scenario starts and stops.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';

import { expect, target, until } from './scenario.mjs';

// Kills all programs when this process ends, however it ends.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A child process that is killed when this process ends. */
export function run(command, args, options) {
  const child = spawn(command, args, options);
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** A free port on the loopback interface. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The configuration of a proxy, with port 8080, on which it listens, and port 3000, of the server behind it, replaced. */
export function configuration(file, near, origin) {
  const text = readFileSync(file, 'utf8');
  return text.replaceAll('127.0.0.1:8080', `127.0.0.1:${near}`).replaceAll('127.0.0.1:3000', new URL(origin).host);
}

/** One of our programs, which serves a feed at one address and can be restarted. */
export class Program {
  starts = 0;
  #child = null;
  #args;
  #binary;
  #log;
  #path;

  constructor(binary, { folder, defer }, port, args, path) {
    this.#binary = join(target, binary);
    this.#args = ['--listen', `127.0.0.1:${port}`, ...args];
    this.#path = path;
    this.#log = openSync(join(folder, `${binary}.log`), 'a');
    this.origin = `http://127.0.0.1:${port}`;
    this.feed = `${this.origin}${path}`;
    defer(() => this.kill());
  }

  /** Starts the program and waits until it responds. */
  async start(...more) {
    const child = run(this.#binary, [...this.#args, ...more], { stdio: ['ignore', this.#log, this.#log] });
    this.#child = child;
    this.starts += 1;
    await until(`${basename(this.#binary)} answers at ${this.feed}`, () => {
      if (child.exitCode !== null) throw new Error(`${this.#binary} ended at once, with code ${child.exitCode}`);
      return this.get('limit=1').catch(() => false);
    });
    return this;
  }

  /** kill -9. */
  async kill() {
    if (this.#child?.exitCode !== null || this.#child.signalCode) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  /** Ctrl-C. Checks that the process ends with code 0, and returns after how many milliseconds. */
  async interrupt() {
    const began = performance.now();
    const end = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    const [code, signal] = await end;
    expect(`${basename(this.#binary)} after Ctrl-C`, { code, signal }, { code: 0, signal: null });
    return performance.now() - began;
  }

  /** A page of the feed. */
  async get(query) {
    const answer = await fetch(`${this.feed}?${query}`);
    if (!answer.ok) throw new Error(`GET ${answer.url}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The cursor at the end of the log. */
  async head() {
    return (await this.get('after=now')).head;
  }

  /** The ids of the log after a cursor, or of the whole log. */
  async ids(after = 'start') {
    const ids = [];
    for (let page = { cursor: after, more: true }; page.more; ) {
      page = await this.get(`after=${page.cursor}&limit=1000`);
      ids.push(...page.events.map(({ id }) => id));
    }
    return ids;
  }
}

/** The log server with this file. */
export async function server(world, file = join(world.folder, 'log.db')) {
  const args = ['--store', `rusqlite:${file}`, '--allow-append'];
  return new Program('server', world, await freePort(), args, '/feed');
}

/** FlightDeck with this file. */
export async function flightdeck(world, file = join(world.folder, 'log.db')) {
  return new Program('flightdeck', world, await freePort(), ['--db', file], '/api/feed');
}

/** From the first departure of the recorded day until the evening, when its flights become rare. */
const BUSY_DAY = 17 * 3_600_000;

/** FlightDeck with this file, started with a replay that does not run out of events while the scenario lasts. */
export async function replaying(world, file) {
  return (await flightdeck(world, file)).start('--speed', String(Math.floor(BUSY_DAY / world.milliseconds)));
}
