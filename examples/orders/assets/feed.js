import { get } from './api.js';

/**
 * Follows the feed after a cursor.
 *
 *   on.event(envelope)   an event
 *   on.state(name)       connecting, live or closed
 *   on.lost()            what the user may see has changed, or the log: load the page again
 */
export class Feed {
  #source;
  #timer;

  constructor(filter, cursor, on) {
    this.filter = filter;
    this.cursor = cursor;
    this.on = on;
    this.#open();
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #url() {
    const query = new URLSearchParams(this.filter);
    query.set('after', this.cursor);
    return `/feed?${query}`;
  }

  #open() {
    this.on.state('connecting');
    const source = new EventSource(`/api${this.#url()}`);
    this.#source = source;
    const on = (name, act) => source.addEventListener(`feed.${name}`, ({ data, lastEventId }) => {
      if (lastEventId) this.cursor = lastEventId;
      act?.(JSON.parse(data));
    });
    on('ready');
    on('checkpoint');
    on('live', () => this.on.state('live'));
    on('behind', () => this.on.state('connecting'));
    on('reset', () => this.#lose());
    on('bye', ({ reason }) => reason === 'rights' && this.#lose());
    source.onmessage = ({ data, lastEventId }) => {
      this.cursor = lastEventId;
      this.on.event(JSON.parse(data));
    };
    source.onerror = () => this.#failed(source);
  }

  // An EventSource does not say why it was refused: ask for a page.
  async #failed(source) {
    this.on.state('connecting');
    if (source.readyState !== EventSource.CLOSED) return;
    const { status } = await get(this.#url());
    if (this.#source !== source) return;
    if (status >= 400 && status < 500 && status !== 429) return this.#lose();
    this.on.state('closed');
    this.#timer = setTimeout(() => this.#open(), 1_000 + Math.random() * 9_000);
  }

  #lose() {
    this.close();
    this.on.lost();
  }
}
