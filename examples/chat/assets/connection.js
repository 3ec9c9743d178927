// The page's feeds. They share one WebSocket, and have one state: that of the feed that is behind.

/** @import { ChatEvent } from '../page/types.gen.ts' */
/** @import { After, Api, Events, Filter } from './downlink.js' */

const ORDER = ['closed', 'reset', 'reconnecting', 'connecting', 'catching-up', 'live'];

export class Connection {
  #api;
  #show;
  #follows = new Set();
  #isOpen = true;

  /**
   * @param {Api} api
   * @param show called with the state, the reason and the time of the next attempt
   */
  constructor(api, show) {
    this.#api = api;
    this.#show = show;
  }

  get feeds() {
    return this.#follows.size;
  }

  // ANCHOR: follow
  /**
   * Follows the events after `after`, and resumes there after a disconnect. `caughtUp` is called when all
   * that are there were handled. Returns a function that ends it.
   *
   * @param {{ after: After, filter: Filter }} what
   * @param {(event: Events<ChatEvent>) => void} handle
   */
  follow({ after, filter }, handle, caughtUp = () => {}) {
    const follow = { cursor: after, status: { state: 'connecting' }, feed: undefined, open: undefined };
    follow.open = () => {
      follow.feed = this.#api.feed({
        filter,
        after: follow.cursor,
        onEvents: (events, cursor) => {
          for (const event of events) dispatch(event, handle);
          follow.cursor = cursor;
        },
        onStatus: (status) => {
          follow.status = status;
          follow.cursor = follow.feed?.cursor ?? follow.cursor;
          if (status.state === 'live') caughtUp();
          this.#tell();
        },
        // The log was replaced: start again.
        onReset: () => location.reload(),
      });
    };
    this.#follows.add(follow);
    if (this.#isOpen) follow.open();
    return () => {
      this.#follows.delete(follow);
      follow.feed?.close();
    };
  }
  // ANCHOR_END: follow

  /** Disconnects, and connects again after this time. */
  disconnect(milliseconds) {
    this.#isOpen = false;
    for (const { feed } of this.#follows) feed?.close();
    this.#show('disconnected', 'You disconnected this page.', performance.now() + milliseconds);
    setTimeout(() => {
      this.#isOpen = true;
      for (const { open } of this.#follows) open();
    }, milliseconds);
  }

  #tell() {
    if (!this.#isOpen) return;
    const statuses = [...this.#follows].map(({ status }) => status);
    const [worst] = statuses.sort((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state));
    if (worst) this.#show(worst.state, worst.reason ?? '', performance.now() + (worst.retryIn ?? 0));
  }
}

// Any client can append anything. An event that cannot be shown does not affect the others.
function dispatch(event, handle) {
  try {
    handle(event);
  } catch (error) {
    console.warn('skipping an event', event, error);
  }
}
