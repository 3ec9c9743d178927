// Who is present: a loaded list, and the events since.

/** @import { ChatEvent, Here } from '../page/types.gen.ts' */
/** @import { Api, Events } from './downlink.js' */

const element = (id) => document.getElementById(id);
const HEARTBEAT_MS = 20_000;
const RETRY_MS = 1_000;

export class People {
  #here = new Map();
  #me;
  #room = '';
  #rooms;
  #api;

  /** @param {Api} api */
  constructor(me, rooms, api) {
    this.#api = api;
    this.#me = me;
    this.#rooms = rooms;
    setInterval(() => this.sendHeartbeat(), HEARTBEAT_MS);
    // A page that cannot send this is removed by the server after a timeout.
    addEventListener('pagehide', () => {
      const gone = new Blob([JSON.stringify({ person: this.#me.person })], { type: 'application/json' });
      navigator.sendBeacon('/api/gone', gone);
    });
  }

  /** Loads who is present, and returns the cursor to follow events from. */
  async load() {
    const answer = await fetch('/api/people').catch(() => null);
    if (!answer?.ok) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return this.load();
    }
    const { people } = await answer.json();
    this.#here = new Map(people.map(({ person, name, room }) => [person, { name, room }]));
    this.draw();
    return answer.headers.get('Feed-Cursor');
  }

  /**
   * A person joined or left.
   *
   * @param {Events<ChatEvent>} event
   */
  apply(event) {
    const { type, stream, data } = event;
    // Any client can append anything.
    if (!data) return;
    if (type === 'PersonJoined' && typeof data.person === 'string') this.#here.set(data.person, { name: data.name, room: stream });
    if (type === 'PersonLeft') this.#here.delete(data.person);
    this.draw();
  }

  /** The user has entered this room. */
  enter(room) {
    this.#room = room;
    this.sendHeartbeat();
    this.draw();
  }

  async sendHeartbeat() {
    if (!this.#room || !this.#me.name) return;
    const { person, name } = this.#me;
    /** @type {Here} */
    const here = { person, name, room: this.#room };
    // If it fails, the next one follows soon.
    await this.#api.post('/here', here, { timeout: RETRY_MS }).catch(() => {});
  }

  draw() {
    const people = [...this.#here.values()].map(({ name, room }) => ({ name: String(name), room }));
    const rank = ({ name, room }) => `${room === this.#room ? 0 : 1} ${name}`;
    people.sort((one, other) => rank(one).localeCompare(rank(other)));
    const lines = people.map(({ name, room }) => {
      const line = document.createElement('li');
      line.append(name);
      if (room !== this.#room) {
        line.className = 'elsewhere';
        const where = document.createElement('span');
        where.className = 'where';
        where.textContent = this.#rooms.name(room);
        line.append(where);
      }
      return line;
    });
    element('people').replaceChildren(...lines);
  }
}
