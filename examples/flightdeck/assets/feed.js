// One subscription to the feed, kept alive for as long as the page lives.
//
// A native EventSource does most of it: it reconnects by itself and sends the last id
// it has seen. What it leaves to the page is written here: telling the states apart,
// noticing a connection that is silent for too long, and the day on which it is CLOSED.

const JITTER = { least: 1_000, most: 10_000 };

export class Feed {
  /** "Handled up to and including": where this subscription goes on. Opaque. */
  cursor = '';
  /** connecting, catching-up, live, behind, waiting, dropped or closed. */
  state = 'connecting';

  #path;
  #on;
  #from;
  #filter = [];
  #source = null;
  #timer = 0;
  #watchdog = 0;
  #patience = 40_000;
  #goodbye = '';

  /**
   * @param path the feed's URL without parameters
   * @param on   callbacks: event(envelope), state(name, detail, until), moved(frame),
   *             restart(why)
   * @param from where to begin when there is no cursor yet
   */
  constructor(path, on, from = 'start') {
    this.#path = path;
    this.#on = on;
    this.#from = from;
  }

  /** Begins anew, with the events that this filter (pairs of name and value) lets through. */
  follow(filter) {
    this.#filter = filter;
    this.#restart('');
  }

  /** Cuts the connection and comes back by itself, as after a tunnel. */
  drop(milliseconds) {
    this.#hangUp();
    this.#reconnect('dropped', 'You cut the connection. The day goes on without this page.', milliseconds);
  }

  /** Ends the subscription. */
  close() {
    this.#hangUp();
    this.#become('closed', 'Ended by this page.');
  }

  #open() {
    this.#hangUp();
    this.#become('connecting', '');
    const where = this.cursor ? ['lastEventId', this.cursor] : ['after', this.#from];
    const source = new EventSource(this.#url(where, ['heartbeat', 'event']));
    this.#source = source;
    // Whoever hung up does not want to hear of the old connection any more.
    const hear = (name, heard) =>
      source.addEventListener(name, (event) => {
        if (this.#source === source) heard(event);
      });
    const frame = (name, heard) =>
      hear(name, (event) => {
        this.#stillThere();
        if (event.lastEventId) this.cursor = event.lastEventId;
        heard(JSON.parse(event.data));
      });

    frame('message', (envelope) => this.#on.event(envelope));
    frame('feed.ready', (ready) => {
      this.#patience = ready.heartbeat_ms * 2.5;
      this.#stillThere();
      this.#goodbye = '';
      this.#become('catching-up', '');
      this.#on.moved(ready);
    });
    frame('feed.live', (live) => {
      this.#become('live', '');
      this.#on.moved(live);
    });
    frame('feed.behind', (behind) => {
      this.#become('behind', 'Events come faster than this page takes them; it reads them from the store.');
      this.#on.moved(behind);
    });
    frame('feed.checkpoint', (checkpoint) => this.#on.moved(checkpoint));
    frame('feed.heartbeat', (heartbeat) => this.#on.moved(heartbeat));
    frame('feed.reset', (reset) => this.#restart(reset.reason));
    frame('feed.bye', (bye) => {
      this.#goodbye = `The server ended the connection (${bye.reason}).`;
    });
    hear('error', () => {
      if (source.readyState === EventSource.CLOSED) this.#closed();
      else this.#become('waiting', this.#goodbye || 'The connection broke; the browser tries again.');
    });
  }

  // ANCHOR: closed
  // The duty of a page whose EventSource is CLOSED. The browser got an answer that is no
  // event stream, will never try again, and keeps the reason to itself. So ask the same
  // URL for a page of JSON after the last cursor, and do what the answer says.
  async #closed() {
    this.#hangUp();
    this.#become('closed', 'The server refused the stream; asking why …');
    const ask = this.#url(['after', this.cursor || this.#from], ['limit', '1']);
    const asJson = { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(10_000) };
    const { status, detail, code } = await fetch(ask, asJson)
      .then(async (answer) => ({ ...(await answer.json()), status: answer.status }))
      .catch(() => ({ status: 0, detail: 'The server cannot be reached.' }));
    if (this.state !== 'closed') return; // the page went on meanwhile

    // 410: the log is another one than the cursor's. Forget everything, begin again.
    if (status === 410 && this.cursor) return this.#restart(code ?? detail);
    // Any other refusal is for good: only a person, or a new version of this page, can help.
    if (status >= 400 && status < 500 && status !== 429) return this.#become('closed', detail);
    // Away, overloaded, or well again: come back, but not all pages at the same moment.
    const jitter = JITTER.least + Math.random() * (JITTER.most - JITTER.least);
    this.#reconnect('waiting', detail ?? 'The server refused the stream for a moment.', jitter);
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
    this.#become(state, detail, performance.now() + milliseconds);
    this.#timer = setTimeout(() => this.#open(), milliseconds);
  }

  // A connection can die without a word. Heartbeats come in time, or it is dead.
  #stillThere() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#hangUp();
      this.#reconnect('waiting', 'The connection went silent.', JITTER.least);
    }, this.#patience);
  }

  #hangUp() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#source?.close();
    this.#source = null;
  }

  #become(state, detail, until = 0) {
    this.state = state;
    this.#on.state(state, detail, until);
  }

  #url(...more) {
    return `${this.#path}?${new URLSearchParams([...this.#filter, ...more])}`;
  }
}
