// One WebSocket to the feed: subscriptions, each with its own cursor, and appends, each with its
// acknowledgement. It reconnects by itself.

const RECONNECT_MS = { min: 1_000, max: 10_000 };
// The number of appends that the server accepts before it has answered one.
const MAX_APPENDS = 16;

export class Socket {
  /** connecting, catching-up, live, waiting, disconnected or closed. */
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
  #timeout = 40_000;
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
   * Subscribes to events after `after`, a cursor or a keyword such as `start`; a reconnect
   * resumes at the last cursor. `caughtUp` is called whenever the subscription becomes live.
   * Returns a function that ends it.
   */
  subscribe(after, filter, handle, caughtUp = () => {}) {
    const subscription = { cursor: '', after, filter, handle, caughtUp, live: false };
    const label = this.#label();
    this.#subscriptions.set(label, subscription);
    if (this.#open) this.#sendSubscribe(label, subscription);
    this.#updateState();
    return () => {
      this.#subscriptions.delete(label);
      if (this.#open) this.#send({ frame: 'unsubscribe', sub: label });
      this.#updateState();
    };
  }

  // ANCHOR: append
  /**
   * Appends an event to a stream, and resolves with the acknowledgement. If the connection is
   * lost before that, the append is sent again with the same id, and is stored once.
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
    for (const append of this.#appends.slice(0, MAX_APPENDS)) {
      if (append.req) continue;
      append.req = this.#label();
      this.sent += 1;
      const { req, stream, events } = append;
      this.#send({ frame: 'append', req, stream, expected: 'any', events });
    }
  }

  #complete(req, settle) {
    const index = this.#appends.findIndex((append) => append.req === req);
    if (index < 0) return;
    const [append] = this.#appends.splice(index, 1);
    settle(append);
    this.#sendAppends();
  }
  // ANCHOR_END: append

  /** Disconnects, and reconnects after this time. */
  disconnect(milliseconds) {
    this.#disconnect();
    this.#reconnectAfter('disconnected', 'You disconnected this page.', milliseconds);
  }

  #connect() {
    this.#disconnect();
    this.#setState('connecting', '');
    const url = new URL(`${this.#path}/ws`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, 'feed.v1.json');
    this.#socket = socket;
    // Ignores events of a connection that was closed or replaced.
    const on = (name, listener) =>
      socket.addEventListener(name, (event) => {
        if (this.#socket === socket) listener(event);
      });
    on('open', () => {
      this.#open = true;
      this.#bye = null;
      this.#resetWatchdog();
      for (const [label, subscription] of this.#subscriptions) this.#sendSubscribe(label, subscription);
      for (const append of this.#appends) append.req = '';
      this.#sendAppends();
      this.#updateState();
    });
    on('message', ({ data }) => {
      this.#resetWatchdog();
      this.#receive(JSON.parse(data));
    });
    on('close', ({ code, reason }) => {
      const opened = this.#open;
      this.#disconnect();
      if (opened) this.#ended(code, reason);
      else this.#refused();
    });
  }

  #sendSubscribe(label, subscription) {
    const { cursor, after, filter } = subscription;
    subscription.live = false;
    this.#send({ frame: 'subscribe', sub: label, after: cursor || after, filter });
  }

  #receive(frame) {
    const subscription = this.#subscriptions.get(frame.sub);
    switch (frame.frame) {
      case 'appended':
        this.acknowledged += 1;
        return this.#complete(frame.req, ({ resolve }) => resolve(frame));
      case 'problem':
        return this.#problem(frame);
      case 'bye':
        this.#bye = frame;
        return;
      case 'reset':
        return this.#on.restart(frame.reason);
    }
    // The subscription may have ended meanwhile.
    if (!subscription) return;
    if (frame.frame === 'ready') this.#timeout = frame.heartbeat_ms * 2.5;
    for (const envelope of frame.events ?? []) {
      subscription.cursor = envelope.cursor;
      dispatch(envelope, subscription.handle);
    }
    if (frame.cursor) subscription.cursor = frame.cursor;
    if (frame.frame === 'behind') subscription.live = false;
    if (frame.frame === 'live') {
      subscription.live = true;
      subscription.caughtUp();
    }
    this.#updateState();
  }

  #problem({ sub, req, problem }) {
    if (req) return this.#complete(req, ({ reject }) => reject(new Error(problem.detail)));
    // The cursor does not belong to this log: start again.
    if (sub && ['cursor-ahead', 'history-changed', 'cursor-expired'].includes(problem.code)) {
      return this.#on.restart(problem.code);
    }
    if (problem.retryable) return;
    this.#disconnect();
    this.#setState('closed', problem.detail);
  }

  // The socket is live if all subscriptions are.
  #updateState() {
    if (!this.#open) return;
    const live = [...this.#subscriptions.values()].every((subscription) => subscription.live);
    this.#setState(live ? 'live' : 'catching-up', '');
  }

  // ANCHOR: ended
  // An open socket was closed. The code says whether to reconnect.
  #ended(code, reason) {
    if (code >= 4400 && code <= 4403) {
      return this.#setState('closed', `The server closed the connection: ${reason} (${code}).`);
    }
    const why = this.#bye ? `The server closed the connection (${this.#bye.reason}).` : 'The connection was lost.';
    this.#reconnectAfter('waiting', why, this.#bye?.reconnect_after_ms ?? jitter());
  }

  // A socket that never opened: the browser does not expose the reason. Request a page of the same
  // feed, and act on the response.
  async #refused() {
    const request = { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(10_000) };
    const { status, detail } = await fetch(`${this.#path}?limit=1`, request)
      .then(async (answer) => ({ ...(await answer.json()), status: answer.status }))
      .catch(() => ({ status: 0, detail: 'Cannot reach the server.' }));
    if (this.#socket || this.state === 'disconnected') return; // the state changed meanwhile
    if (status >= 400 && status < 500 && status !== 429) return this.#setState('closed', detail);
    this.#reconnectAfter('waiting', detail ?? 'The server refused the connection.', jitter());
  }
  // ANCHOR_END: ended

  #reconnectAfter(state, detail, milliseconds) {
    this.#setState(state, detail, performance.now() + milliseconds);
    this.#timer = setTimeout(() => this.#connect(), milliseconds);
  }

  // A connection can break without an error. Without a heartbeat in time, it counts as lost.
  #resetWatchdog() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#disconnect();
      this.#reconnectAfter('waiting', 'No heartbeat from the server.', RECONNECT_MS.min);
    }, this.#timeout);
  }

  #disconnect() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    this.#open = false;
    socket?.close();
    for (const subscription of this.#subscriptions.values()) subscription.live = false;
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #label() {
    this.#labels += 1;
    return `l${this.#labels}`;
  }

  #setState(state, detail, until = 0) {
    this.state = state;
    this.#on.state(state, detail, until);
  }
}

// Any client can append anything. An event that cannot be shown does not affect the others.
function dispatch(envelope, handle) {
  try {
    handle(envelope);
  } catch (error) {
    console.warn('skipping an event', envelope, error);
  }
}

const jitter = () => RECONNECT_MS.min + Math.random() * (RECONNECT_MS.max - RECONNECT_MS.min);

/** A UUID of version 7: ids are ordered by time. */
export function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  for (let i = 5; i >= 0; i--, time = Math.floor(time / 256)) bytes[i] = time % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
