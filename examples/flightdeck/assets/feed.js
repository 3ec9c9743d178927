// One subscription to the feed, which reconnects for as long as the page is open, over any transport.
//
// A transport is a module with one function, which opens one connection:
//
//   open(path, filter, after, on)  `after` is a cursor or a keyword such as `start`; returns a
//                                  function that closes the connection
//   on.frame(frame)                a frame of the wire contract; events arrive as `events`
//   on.reconnecting()              the connection was lost, and the browser reconnects
//   on.lost()                      the connection was lost or ended
//   on.refused(problem)            the server refused or closed it, with a reason
//   on.closed()                    it was closed, and the browser does not expose the reason
//
// This module has what all transports need: it keeps the cursor, tracks the state, notices a
// connection without heartbeats, and reconnects.

import * as longPoll from './long-poll.js';
import { fetchPage } from './page.js';
import * as sse from './sse.js';
import * as websocket from './websocket.js';

const TRANSPORTS = { sse, websocket, 'long-poll': longPoll };
const LOG_REPLACED = ['cursor-ahead', 'history-changed', 'cursor-expired'];
const RECONNECT_MS = { min: 1_000, max: 10_000 };

const randomBetween = (min, max) => min + Math.random() * (max - min);

export class Feed {
  /** The last cursor that was handled: a reconnect resumes after it. Opaque. */
  cursor = '';
  /** connecting, catching-up, live, behind, waiting, disconnected or closed. */
  state = 'connecting';
  /** sse, websocket or long-poll. */
  transport = 'sse';

  #path;
  #on;
  #from;
  #load;
  #filter = null;
  #close = null;
  #attempt = null;
  #timer = 0;
  #watchdog = 0;
  #timeout = 40_000;
  #bye = null;

  /**
   * @param path the feed's URL without parameters
   * @param on   callbacks: event(envelope), state(name, detail, until), progress(frame),
   *             restart(reason)
   * @param begin where to begin without a cursor: a keyword such as `start`, or a function that
   *             loads the current state for this filter and returns its cursor, from which the
   *             feed continues without a gap
   */
  constructor(path, on, begin = 'start') {
    this.#path = path;
    this.#on = on;
    this.#from = typeof begin === 'string' ? begin : 'start';
    this.#load = typeof begin === 'string' ? null : begin;
  }

  /** Starts again with this filter, pairs of name and value. */
  follow(filter) {
    this.#filter = filter;
    this.#restart('');
  }

  /** Switches to another transport, at the same cursor. */
  switchTransport(transport) {
    this.transport = transport;
    if (this.#filter) this.#open();
  }

  /** Disconnects, and reconnects after this time. */
  disconnect(milliseconds) {
    this.#reconnect('disconnected', 'You disconnected this page.', milliseconds);
  }

  /** Ends the subscription. */
  close() {
    this.#filter = null;
    this.#disconnect();
    this.#setState('closed', 'Closed by this page.');
  }

  async #open() {
    const isCurrent = this.#beginAttempt();
    this.#setState('connecting', '');
    if (this.#load && !this.cursor && !(await this.#loaded(isCurrent))) return;
    // Ignores callbacks of a connection that was closed or replaced.
    const current = (callback) => (argument) => isCurrent() && callback(argument);
    this.#resetWatchdog();
    this.#close = TRANSPORTS[this.transport].open(this.#path, this.#filter, this.cursor || this.#from, {
      frame: current((frame) => this.#receive(frame)),
      reconnecting: current(() => this.#setState('waiting', this.#reasonOr('The connection was lost; the browser reconnects.'))),
      lost: current(() => this.#reconnectLater(this.#reasonOr('The connection was lost.'), this.#bye?.reconnect_after_ms)),
      refused: current((problem) => this.#refused(problem)),
      closed: current(() => this.#closed()),
    });
  }

  // Ends the current attempt, and begins another. Returns a function that tests whether it is current.
  #beginAttempt() {
    this.#disconnect();
    const attempt = (this.#attempt = Symbol('attempt'));
    return () => attempt === this.#attempt;
  }

  // Loads the current state. Returns false if it failed, or another attempt has begun meanwhile.
  async #loaded(isCurrent) {
    const cursor = await this.#load(this.#filter).catch(() => '');
    if (!isCurrent()) return false;
    this.cursor = cursor;
    if (!cursor) this.#reconnectLater('The board cannot be loaded.');
    return cursor !== '';
  }

  #receive(frame) {
    this.#resetWatchdog();
    if (frame.cursor) this.cursor = frame.cursor;
    this.#handlers[frame.frame]?.(frame);
  }

  #handlers = {
    events: ({ events }) => {
      for (const envelope of events) {
        this.cursor = envelope.cursor;
        this.#dispatch(envelope);
      }
    },
    ready: (ready) => {
      this.#timeout = ready.heartbeat_ms * 2.5;
      this.#resetWatchdog();
      this.#bye = null;
      this.#setState('catching-up', '');
      this.#on.progress(ready);
    },
    live: (live) => {
      this.#setState('live', '');
      this.#on.progress(live);
    },
    behind: (behind) => {
      this.#setState('behind', 'This page is slower than the feed; the server reads its events from the store.');
      this.#on.progress(behind);
    },
    checkpoint: (checkpoint) => this.#on.progress(checkpoint),
    heartbeat: (heartbeat) => this.#on.progress(heartbeat),
    reset: ({ reason }) => this.#restart(reason),
    problem: ({ problem }) => this.#refused(problem),
    bye: (bye) => (this.#bye = bye),
  };

  // An event that the page cannot show does not affect the others.
  #dispatch(envelope) {
    try {
      this.#on.event(envelope);
    } catch (error) {
      console.warn('skipping an event', envelope, error);
    }
  }

  #reasonOr(otherwise) {
    return this.#bye ? `The server closed the connection (${this.#bye.reason}).` : otherwise;
  }

  // ANCHOR: closed
  // What a page has to do if its EventSource is CLOSED. The browser received a response that is not
  // an event stream, does not reconnect, and does not expose the reason; the same applies to a
  // refused WebSocket. Request a page of JSON after the last cursor, and act on the response.
  async #closed() {
    const isCurrent = this.#beginAttempt();
    this.#setState('closed', 'The server refused the stream; requesting the reason …');
    const parameters = [...this.#filter, ['after', this.cursor || this.#from], ['limit', 1]];
    const response = await fetchPage(this.#path, parameters, AbortSignal.timeout(10_000))
      .catch(() => ({ detail: 'The server cannot be reached.' }));
    if (isCurrent()) this.#refused(response); // unless another attempt has begun meanwhile
  }

  #refused({ code, detail, retryable, wait }) {
    // The cursor does not belong to this log: start again.
    if (LOG_REPLACED.includes(code) && this.cursor) return this.#restart(code);
    this.#disconnect();
    // A refusal that is not retryable: only the user, or a new version of the page, can help.
    if (retryable === false) return this.#setState('closed', detail);
    // Unreachable, overloaded or recovered: reconnect, but not all pages at once. All get the same
    // `Retry-After`, so lengthen it by a random time.
    this.#reconnectLater(detail ?? 'The server refused the stream.', wait && randomBetween(wait, wait * 1.5));
  }

  #reconnectLater(detail, pause) {
    this.#reconnect('waiting', detail, pause || randomBetween(RECONNECT_MS.min, RECONNECT_MS.max));
  }
  // ANCHOR_END: closed

  // The log was replaced or the filter changed: the state of the page is no longer valid.
  #restart(reason) {
    this.#disconnect();
    this.cursor = '';
    this.#on.restart(reason);
    this.#open();
  }

  #reconnect(state, detail, milliseconds) {
    this.#disconnect();
    this.#setState(state, detail, performance.now() + milliseconds);
    this.#timer = setTimeout(() => this.#open(), milliseconds);
  }

  // A connection can break without an error. Without a heartbeat in time, it counts as lost.
  #resetWatchdog() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#reconnectLater('No heartbeat from the server.'), this.#timeout);
  }

  #disconnect() {
    this.#attempt = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#close?.();
    this.#close = null;
  }

  #setState(state, detail, until = 0) {
    this.state = state;
    this.#on.state(state, detail, until);
  }
}
