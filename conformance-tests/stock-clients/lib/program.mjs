// Programs that a scenario starts and stops.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';

import { expect, target, until } from './scenario.mjs';

// No program outlives this process, however it ends.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A child that dies with this process. */
export function run(command, args, options) {
  const child = spawn(command, args, options);
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** A port on the loopback interface that nobody uses. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The configuration of a proxy, with these ports for 8080, where it listens, and 3000, what is behind it. */
export function configuration(file, near, origin) {
  const text = readFileSync(file, 'utf8');
  return text.replaceAll('127.0.0.1:8080', `127.0.0.1:${near}`).replaceAll('127.0.0.1:3000', new URL(origin).host);
}

/** A program of ours that serves a feed at one address, through many lives. */
export class Program {
  lives = 0;
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

  /** Starts it and waits until it answers. */
  async start(...more) {
    const child = run(this.#binary, [...this.#args, ...more], { stdio: ['ignore', this.#log, this.#log] });
    this.#child = child;
    this.lives += 1;
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

  /** Ctrl-C; gives the milliseconds until the process had ended, which it must have done well. */
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

  /** The cursor of the end of the log. */
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

/** The bare log server over a file. */
export async function server(world, file = join(world.folder, 'log.db')) {
  const args = ['--store', `rusqlite:${file}`, '--allow-append'];
  return new Program('server', world, await freePort(), args, '/feed');
}

/** FlightDeck over a file. */
export async function flightdeck(world, file = join(world.folder, 'log.db')) {
  return new Program('flightdeck', world, await freePort(), ['--db', file], '/api/feed');
}
