import { get } from './api.js';

/**
 * Follows a stream of the server, the feed or a live query, by an EventSource that resumes.
 *
 *   on.event(envelope)   an event
 *   on.frame(frame)      a frame of a live query
 *   on.state(name)       connecting, live or closed
 *   on.lost()            what the user may see has changed, or the log: load the page again
 */
export class Stream {
  #source;
  #timer;

  constructor(path, after, on) {
    this.path = path;
    this.after = after;
    this.on = on;
    this.#open();
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #url() {
    if (!this.after) return this.path;
    return `${this.path}${this.path.includes('?') ? '&' : '?'}after=${this.after}`;
  }

  #open() {
    this.on.state?.('connecting');
    const source = new EventSource(`/api${this.#url()}`);
    this.#source = source;
    const on = (name, act) => source.addEventListener(`feed.${name}`, ({ data, lastEventId }) => {
      if (lastEventId) this.after = lastEventId;
      act(JSON.parse(data));
    });
    for (const name of ['ready', 'checkpoint', 'result', 'rows']) on(name, (frame) => this.on.frame?.(frame));
    on('live', () => this.on.state?.('live'));
    on('behind', () => this.on.state?.('connecting'));
    on('reset', () => this.#lose());
    on('bye', ({ reason }) => reason === 'rights' && this.#lose());
    source.onmessage = ({ data, lastEventId }) => {
      this.after = lastEventId;
      this.on.event?.(JSON.parse(data));
    };
    source.onerror = () => this.#failed(source);
  }

  // An EventSource does not say why it was refused: ask for a page.
  async #failed(source) {
    this.on.state?.('connecting');
    if (source.readyState !== EventSource.CLOSED) return;
    const { status } = await get(this.#url());
    if (this.#source !== source) return;
    if (status >= 400 && status < 500 && status !== 429) return this.#lose();
    this.on.state?.('closed');
    this.#timer = setTimeout(() => this.#open(), 1_000 + Math.random() * 9_000);
  }

  #lose() {
    this.close();
    this.on.lost();
  }
}

/** The rows of a live query: `render(rows)` is called whenever they have changed. */
export class LiveRows {
  #key;
  #rows = new Map();

  constructor(name, { render, lost }) {
    this.render = render;
    this.stream = new Stream(`/live/${name}`, null, { frame: (frame) => this.#apply(frame), lost });
  }

  close() {
    this.stream.close();
  }

  // A change is sent only for the rows that the `after` of this page names.
  #apply({ frame, key, rows, put, del, order }) {
    if (frame === 'ready') this.#key = key;
    if (frame === 'result') this.#rows = this.#byKey(rows);
    if (frame === 'rows') {
      for (const gone of del) this.#rows.delete(gone);
      for (const [changed, row] of this.#byKey(put)) this.#rows.set(changed, row);
      if (order) this.#rows = new Map(order.map((next) => [next, this.#rows.get(next)]));
    }
    if (frame === 'result' || frame === 'rows') this.render([...this.#rows.values()]);
  }

  #byKey(rows) {
    return new Map(rows.map((row) => [row[this.#key], row]));
  }
}
