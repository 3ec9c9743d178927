// One WebSocket to the feed for all that the page wants of it: subscriptions, each with its
// own cursor, and appends, each with its acknowledgement. It comes back by itself.

const JITTER = { least: 1_000, most: 10_000 };
// What the server takes before it has answered one.
const APPENDS = 16;

export class Socket {
  /** connecting, catching-up, live, waiting, dropped or closed. */
  state = 'connecting';
  sent = 0;
  acknowledged = 0;

  #path;
  #on;
  #socket = null;
  #open = false;
  #subscriptions = new Map();
  #appends = [];
  #labels = 0;
  #timer = 0;
  #watchdog = 0;
  #patience = 40_000;
  #bye = null;

  /**
   * @param path the feed's URL, such as `/api/feed`
   * @param on   callbacks: state(name, detail, until), restart(why)
   */
  constructor(path, on) {
    this.#path = path;
    this.#on = on;
  }

  /** Opens the connection. */
  start() {
    this.#connect();
  }

  get subscriptions() {
    return this.#subscriptions.size;
  }

  /**
   * Follows events: from `after`, a cursor or a place such as `start`, and after a reconnect
   * from where it is. `caughtUp` is called whenever it has everything. Gives a function that
   * ends it.
   */
  subscribe(after, filter, heard, caughtUp = () => {}) {
    const subscription = { cursor: '', after, filter, heard, caughtUp, live: false };
    const label = this.#label();
    this.#subscriptions.set(label, subscription);
    if (this.#open) this.#ask(label, subscription);
    this.#settle();
    return () => {
      this.#subscriptions.delete(label);
      if (this.#open) this.#say({ frame: 'unsubscribe', sub: label });
      this.#settle();
    };
  }

  // ANCHOR: append
  /**
   * Appends an event to a stream, and resolves with the acknowledgement. An append whose answer
   * was lost with its connection is sent again on the next, with the same id: it happens once.
   */
  append(stream, event) {
    return new Promise((resolve, reject) => {
      const events = [{ id: uuid7(), ...event }];
      const append = { stream, events, req: '', resolve, reject };
      this.#appends.push(append);
      this.#sendAppends();
    });
  }

  #sendAppends() {
    if (!this.#open) return;
    for (const append of this.#appends.slice(0, APPENDS)) {
      if (append.req) continue;
      append.req = this.#label();
      this.sent += 1;
      const { req, stream, events } = append;
      this.#say({ frame: 'append', req, stream, expected: 'any', events });
    }
  }

  #answered(req, settle) {
    const place = this.#appends.findIndex((append) => append.req === req);
    if (place < 0) return;
    const [append] = this.#appends.splice(place, 1);
    settle(append);
    this.#sendAppends();
  }
  // ANCHOR_END: append

  /** Cuts the connection and comes back by itself, as after a tunnel. */
  drop(milliseconds) {
    this.#hangUp();
    this.#wait('dropped', 'You cut the connection. The others go on without this page.', milliseconds);
  }

  #connect() {
    this.#hangUp();
    this.#become('connecting', '');
    const url = new URL(`${this.#path}/ws`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, 'feed.v1.json');
    this.#socket = socket;
    // Whoever hung up does not want to hear of the old connection any more.
    const hear = (name, heard) =>
      socket.addEventListener(name, (event) => {
        if (this.#socket === socket) heard(event);
      });
    hear('open', () => {
      this.#open = true;
      this.#bye = null;
      this.#stillThere();
      for (const [label, subscription] of this.#subscriptions) this.#ask(label, subscription);
      for (const append of this.#appends) append.req = '';
      this.#sendAppends();
      this.#settle();
    });
    hear('message', ({ data }) => {
      this.#stillThere();
      this.#heard(JSON.parse(data));
    });
    hear('close', ({ code, reason }) => {
      const opened = this.#open;
      this.#hangUp();
      if (opened) this.#ended(code, reason);
      else this.#refused();
    });
  }

  #ask(label, subscription) {
    const { cursor, after, filter } = subscription;
    subscription.live = false;
    this.#say({ frame: 'subscribe', sub: label, after: cursor || after, filter });
  }

  #heard(frame) {
    const subscription = this.#subscriptions.get(frame.sub);
    switch (frame.frame) {
      case 'appended':
        this.acknowledged += 1;
        return this.#answered(frame.req, ({ resolve }) => resolve(frame));
      case 'problem':
        return this.#problem(frame);
      case 'bye':
        this.#bye = frame;
        return;
      case 'reset':
        return this.#on.restart(frame.reason);
    }
    // What is still on its way for one that has ended is nobody's.
    if (!subscription) return;
    if (frame.frame === 'ready') this.#patience = frame.heartbeat_ms * 2.5;
    for (const envelope of frame.events ?? []) {
      subscription.cursor = envelope.cursor;
      hear(envelope, subscription.heard);
    }
    if (frame.cursor) subscription.cursor = frame.cursor;
    if (frame.frame === 'behind') subscription.live = false;
    if (frame.frame === 'live') {
      subscription.live = true;
      subscription.caughtUp();
    }
    this.#settle();
  }

  #problem({ sub, req, problem }) {
    if (req) return this.#answered(req, ({ reject }) => reject(new Error(problem.detail)));
    // The log is another one than the cursor's: forget everything, begin again.
    if (sub && ['cursor-ahead', 'history-changed', 'cursor-expired'].includes(problem.code)) {
      return this.#on.restart(problem.code);
    }
    if (problem.retryable) return;
    this.#hangUp();
    this.#become('closed', problem.detail);
  }

  // Live is who has everything that there is.
  #settle() {
    if (!this.#open) return;
    const live = [...this.#subscriptions.values()].every((subscription) => subscription.live);
    this.#become(live ? 'live' : 'catching-up', '');
  }

  // ANCHOR: ended
  // A socket that was open has ended. The code says whether to come back.
  #ended(code, reason) {
    if (code >= 4400 && code <= 4403) {
      return this.#become('closed', `The server ended the connection for good: ${reason} (${code}).`);
    }
    const why = this.#bye ? `The server ended the connection (${this.#bye.reason}).` : 'The connection broke.';
    this.#wait('waiting', why, this.#bye?.reconnect_after_ms ?? jitter());
  }

  // A socket that never opened: the browser keeps the reason to itself. So ask the same feed for
  // a page, and do what the answer says.
  async #refused() {
    const ask = { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(10_000) };
    const { status, detail } = await fetch(`${this.#path}?limit=1`, ask)
      .then(async (answer) => ({ ...(await answer.json()), status: answer.status }))
      .catch(() => ({ status: 0, detail: 'The server cannot be reached.' }));
    if (this.#socket || this.state === 'dropped') return; // the page went on meanwhile
    if (status >= 400 && status < 500 && status !== 429) return this.#become('closed', detail);
    this.#wait('waiting', detail ?? 'The server refused the connection for a moment.', jitter());
  }
  // ANCHOR_END: ended

  #wait(state, detail, milliseconds) {
    this.#become(state, detail, performance.now() + milliseconds);
    this.#timer = setTimeout(() => this.#connect(), milliseconds);
  }

  // A connection can die without a word. Heartbeats come in time, or it is dead.
  #stillThere() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#hangUp();
      this.#wait('waiting', 'The connection went silent.', JITTER.least);
    }, this.#patience);
  }

  #hangUp() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    this.#open = false;
    socket?.close();
    for (const subscription of this.#subscriptions.values()) subscription.live = false;
  }

  #say(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #label() {
    this.#labels += 1;
    return `l${this.#labels}`;
  }

  #become(state, detail, until = 0) {
    this.state = state;
    this.#on.state(state, detail, until);
  }
}

// Anybody may have appended anything. What cannot be shown costs nothing of what follows.
function hear(envelope, heard) {
  try {
    heard(envelope);
  } catch (error) {
    console.warn('an event is passed over', envelope, error);
  }
}

const jitter = () => JITTER.least + Math.random() * (JITTER.most - JITTER.least);

/** A UUID of version 7: ids rise with time. */
export function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  for (let i = 5; i >= 0; i--, time = Math.floor(time / 256)) bytes[i] = time % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
