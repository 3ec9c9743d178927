// Follows one live query, over any transport: its rows stay those of the server.

import { LiveRows } from './live-rows.js';
import * as longPoll from './long-poll.js';
import { fetchPage } from './page.js';
import * as sse from './sse.js';
import * as websocket from './websocket.js';

const LOG_REPLACED = ['cursor-ahead', 'history-changed', 'cursor-expired'];
const RECONNECT_MS = { min: 1_000, max: 10_000 };

const randomBetween = (min, max) => min + Math.random() * (max - min);

export class LiveQuery {
  /** sse, websocket or long-poll. */
  transport = 'sse';

  #name;
  #parameters = [];
  #onrows;
  #live = new LiveRows();
  #close = null;
  #attempt = null;
  #timer = 0;
  #watchdog = 0;
  #timeout = 40_000;
  #pause = 0;

  /** Calls `onrows` with all rows whenever they have changed. */
  constructor(onrows) {
    this.#onrows = onrows;
  }

  /** Starts again with the query of this name and these parameters, pairs of name and value. */
  follow(name, parameters) {
    this.#name = name;
    this.#parameters = parameters;
    this.#live = new LiveRows();
    this.#open();
  }

  /** Switches to another transport, with the rows that the page has. */
  switchTransport(transport) {
    this.transport = transport;
    if (this.#name) this.#open();
  }

  #open() {
    this.#disconnect();
    const attempt = (this.#attempt = Symbol('attempt'));
    // Ignores callbacks of a connection that was closed or replaced.
    const current = (callback) => (argument) => attempt === this.#attempt && callback(argument);
    this.#resetWatchdog();
    this.#close = this.#connect({
      frame: current((frame) => this.#receive(frame)),
      reconnecting() {},
      lost: current(() => this.#reconnectLater(this.#pause)),
      refused: current((problem) => this.#refused(problem)),
      closed: current(() => this.#closed(attempt)),
    });
  }

  #connect(on) {
    const path = `api/live/${this.#name}`;
    const { token } = this.#live;
    switch (this.transport) {
      case 'websocket': return websocket.watch('api/feed', this.#name, this.#parameters, token, on);
      case 'long-poll': return longPoll.watch(path, this.#parameters, token, on);
      default: return sse.open(path, this.#parameters, token, on);
    }
  }

  #receive(frame) {
    this.#resetWatchdog();
    switch (frame.frame) {
      case 'ready': this.#timeout = frame.heartbeat_ms * 2.5; break;
      case 'bye': return void (this.#pause = frame.reconnect_after_ms);
      case 'reset': return this.#again();
      // The rows stay, and the server evaluates the query again.
      case 'problem': return this.#live.token ? undefined : this.#refused(frame.problem);
    }
    try {
      if (this.#live.apply(frame)) this.#onrows(this.#live.rows);
    } catch (error) {
      console.warn('loading the rows again', error);
      this.#again();
    }
  }

  // The browser does not expose why it closed the stream: ask.
  async #closed(attempt) {
    const { token } = this.#live;
    const parameters = [...this.#parameters, ...(token ? [['after', token]] : [])];
    const response = await fetchPage(`api/live/${this.#name}`, parameters, AbortSignal.timeout(10_000)).catch(() => ({}));
    if (attempt === this.#attempt) this.#refused(response);
  }

  #refused({ code, retryable, wait }) {
    if (LOG_REPLACED.includes(code) && this.#live.token) return this.#again();
    this.#disconnect();
    if (retryable === false) return console.warn(`the live query '${this.#name}' was refused: ${code}`);
    this.#reconnectLater(wait && randomBetween(wait, wait * 1.5));
  }

  // The rows that the page has are void.
  #again() {
    this.#live.clear();
    this.#reconnectLater(0);
  }

  #reconnectLater(pause) {
    this.#disconnect();
    this.#pause = 0;
    this.#timer = setTimeout(() => this.#open(), pause || randomBetween(RECONNECT_MS.min, RECONNECT_MS.max));
  }

  // A connection can break without an error. Without a heartbeat in time, it counts as lost.
  #resetWatchdog() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#reconnectLater(0), this.#timeout);
  }

  #disconnect() {
    this.#attempt = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#close?.();
    this.#close = null;
  }
}
