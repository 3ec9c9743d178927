// One subscription to the feed, kept alive for as long as the page lives, whatever carries it.
//
// A transport is a module with one function, which makes one connection:
//
//   open(path, filter, after, on)  after a cursor, or from a place such as `start`; gives a
//                                  function that closes it
//   on.frame(frame)                a frame of the wire contract; events come as `events`
//   on.waits()                     it broke, and comes back by itself
//   on.lost()                      it broke or ended, and is over
//   on.refused(problem)            it is over, and the server said why
//   on.closed()                    it is over, and whoever knows why keeps it to himself
//
// The rest is the same for all of them and is written here: keeping the cursor, telling the
// states apart, noticing a connection that is silent for too long, and coming back.

import * as longPoll from './long-poll.js';
import { page } from './page.js';
import * as sse from './sse.js';
import * as websocket from './websocket.js';

const TRANSPORTS = { sse, websocket, 'long-poll': longPoll };
const ANOTHER_LOG = ['cursor-ahead', 'history-changed', 'cursor-expired'];
const JITTER = { least: 1_000, most: 10_000 };

const between = (least, most) => least + Math.random() * (most - least);

export class Feed {
  /** "Handled up to and including": where this subscription goes on. Opaque. */
  cursor = '';
  /** connecting, catching-up, live, behind, waiting, dropped or closed. */
  state = 'connecting';
  /** What carries it: sse, websocket or long-poll. */
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
  #patience = 40_000;
  #bye = null;

  /**
   * @param path the feed's URL without parameters
   * @param on   callbacks: event(envelope), state(name, detail, until), moved(frame),
   *             restart(why)
   * @param begin where to begin when there is no cursor yet: a place such as `start`, or a
   *             function that loads the present state under this filter and gives the cursor
   *             that it is of, so that the feed goes on from there without a gap
   */
  constructor(path, on, begin = 'start') {
    this.#path = path;
    this.#on = on;
    this.#from = typeof begin === 'string' ? begin : 'start';
    this.#load = typeof begin === 'string' ? null : begin;
  }

  /** Begins anew, with the events that this filter (pairs of name and value) lets through. */
  follow(filter) {
    this.#filter = filter;
    this.#restart('');
  }

  /** Goes on over another transport, at the same cursor. */
  carry(transport) {
    this.transport = transport;
    if (this.#filter) this.#open();
  }

  /** Cuts the connection and comes back by itself, as after a tunnel. */
  drop(milliseconds) {
    this.#reconnect('dropped', 'You cut the connection. The day goes on without this page.', milliseconds);
  }

  /** Ends the subscription. */
  close() {
    this.#filter = null;
    this.#hangUp();
    this.#become('closed', 'Ended by this page.');
  }

  async #open() {
    const isCurrent = this.#begin();
    this.#become('connecting', '');
    if (this.#load && !this.cursor && !(await this.#loaded(isCurrent))) return;
    // Whoever hung up does not want to hear of the old connection any more.
    const current = (heard) => (said) => isCurrent() && heard(said);
    this.#stillThere();
    this.#close = TRANSPORTS[this.transport].open(this.#path, this.#filter, this.cursor || this.#from, {
      frame: current((frame) => this.#take(frame)),
      waits: current(() => this.#become('waiting', this.#goodbye('The connection broke; the browser tries again.'))),
      lost: current(() => this.#comeBack(this.#goodbye('The connection broke.'), this.#bye?.reconnect_after_ms)),
      refused: current((problem) => this.#refused(problem)),
      closed: current(() => this.#closed()),
    });
  }

  // Ends what was going on. Gives whether what begins now is still what goes on.
  #begin() {
    this.#hangUp();
    const attempt = (this.#attempt = Symbol('attempt'));
    return () => attempt === this.#attempt;
  }

  // Loads the present state. False if the page did something else meanwhile, or has to wait.
  async #loaded(isCurrent) {
    const cursor = await this.#load(this.#filter).catch(() => '');
    if (!isCurrent()) return false;
    this.cursor = cursor;
    if (!cursor) this.#comeBack('The board cannot be loaded; the page tries again.');
    return cursor !== '';
  }

  #take(frame) {
    this.#stillThere();
    if (frame.cursor) this.cursor = frame.cursor;
    this.#heard[frame.frame]?.(frame);
  }

  #heard = {
    events: ({ events }) => {
      for (const envelope of events) {
        this.cursor = envelope.cursor;
        this.#hear(envelope);
      }
    },
    ready: (ready) => {
      this.#patience = ready.heartbeat_ms * 2.5;
      this.#stillThere();
      this.#bye = null;
      this.#become('catching-up', '');
      this.#on.moved(ready);
    },
    live: (live) => {
      this.#become('live', '');
      this.#on.moved(live);
    },
    behind: (behind) => {
      this.#become('behind', 'Events come faster than this page takes them; it reads them from the store.');
      this.#on.moved(behind);
    },
    checkpoint: (checkpoint) => this.#on.moved(checkpoint),
    heartbeat: (heartbeat) => this.#on.moved(heartbeat),
    reset: ({ reason }) => this.#restart(reason),
    problem: ({ problem }) => this.#refused(problem),
    bye: (bye) => (this.#bye = bye),
  };

  // One event that the page stumbles over costs none of the others.
  #hear(envelope) {
    try {
      this.#on.event(envelope);
    } catch (error) {
      console.warn('an event is passed over', envelope, error);
    }
  }

  #goodbye(otherwise) {
    return this.#bye ? `The server ended the connection (${this.#bye.reason}).` : otherwise;
  }

  // ANCHOR: closed
  // The duty of a page whose EventSource is CLOSED. The browser got an answer that is no
  // event stream, will never try again, and keeps the reason to itself; so it does with a
  // WebSocket that was refused. So ask the feed for a page of JSON after the last cursor,
  // and do what the answer says.
  async #closed() {
    const isCurrent = this.#begin();
    this.#become('closed', 'The server refused the stream; asking why …');
    const ask = [...this.#filter, ['after', this.cursor || this.#from], ['limit', 1]];
    const answer = await page(this.#path, ask, AbortSignal.timeout(10_000))
      .catch(() => ({ detail: 'The server cannot be reached.' }));
    if (isCurrent()) this.#refused(answer); // or else the page went on meanwhile
  }

  #refused({ code, detail, retryable, wait }) {
    // The log is another one than the cursor's: forget everything, begin again.
    if (ANOTHER_LOG.includes(code) && this.cursor) return this.#restart(code);
    this.#hangUp();
    // Any other refusal is for good: only a person, or a new version of this page, can help.
    if (retryable === false) return this.#become('closed', detail);
    // Away, overloaded, or well again: come back, but not all pages at the same moment. What
    // everybody is told by `Retry-After` is lengthened for that.
    this.#comeBack(detail ?? 'The server refused the stream for a moment.', wait && between(wait, wait * 1.5));
  }

  #comeBack(detail, pause) {
    this.#reconnect('waiting', detail, pause || between(JITTER.least, JITTER.most));
  }
  // ANCHOR_END: closed

  // The log was replaced, or the filter changed: what this page knows is worth nothing.
  #restart(why) {
    this.#hangUp();
    this.cursor = '';
    this.#on.restart(why);
    this.#open();
  }

  #reconnect(state, detail, milliseconds) {
    this.#hangUp();
    this.#become(state, detail, performance.now() + milliseconds);
    this.#timer = setTimeout(() => this.#open(), milliseconds);
  }

  // A connection can die without a word. Heartbeats come in time, or it is dead.
  #stillThere() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#comeBack('The connection went silent.'), this.#patience);
  }

  #hangUp() {
    this.#attempt = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#close?.();
    this.#close = null;
  }

  #become(state, detail, until = 0) {
    this.state = state;
    this.#on.state(state, detail, until);
  }
}
