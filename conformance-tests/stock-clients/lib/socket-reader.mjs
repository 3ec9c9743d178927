// Follows a feed over a WebSocket, in a page or in Node, and reconnects at its cursor.

import { envelopes, received } from './envelopes.mjs';

const PAUSE = 50;

export class SocketReader {
  received = [];
  newest = '';
  /** Why the socket was closed, each time. */
  closed = [];
  #cursor = 'start';
  #stopped = false;

  /** @param WebSocket the browser's own class, or a compatible one */
  constructor(WebSocket, url) {
    // ANCHOR: open
    this.open = () => {
      const socket = new WebSocket(url, 'feed.v1.json');
      this.socket = socket;
      socket.onopen = () => socket.send(JSON.stringify({ frame: 'subscribe', sub: 's1', after: this.#cursor }));
      socket.onmessage = ({ data }) => this.#take(data);
      socket.onerror = () => {};
      socket.onclose = ({ code, reason }) => {
        this.closed.push({ code, reason });
        if (!this.#stopped) setTimeout(this.open, PAUSE);
      };
    };
    // ANCHOR_END: open
    this.open();
  }

  #take(text) {
    const { frame, cursor, problem } = JSON.parse(text);
    if (problem) throw new Error(`${problem.code}: ${problem.detail}`);
    if (frame === 'events') {
      this.received.push(...envelopes(text).map(received));
      const { id, data } = this.received.at(-1);
      this.#cursor = id;
      this.newest = JSON.parse(data).id;
    } else if (cursor) {
      this.#cursor = cursor;
    }
  }

  /** Closes the connection and reconnects. */
  drop() {
    this.socket.close();
  }

  end() {
    this.#stopped = true;
    this.socket.close();
  }
}
