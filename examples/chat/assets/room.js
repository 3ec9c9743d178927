// The open room and its messages. All texts are untrusted.

/** @import { ChatEvent } from '../page/types.gen.ts' */
/** @import { Events } from './downlink.js' */

/** @returns {any} */
const element = (id) => document.getElementById(id);
const MOST_LINES = 500;

export class Room {
  received = 0;
  gaps = 0;
  repeats = 0;
  ids = [];

  #me;
  #version = 0;
  #pending = new Map();

  constructor(me) {
    this.#me = me;
  }

  /** Opens another room and clears the messages, also the pending ones. */
  enter(name) {
    element('room').textContent = name;
    element('messages').replaceChildren();
    this.#version = 0;
    this.ids = [];
    this.#pending.clear();
  }

  /**
   * Shows an event of this room, and checks that it is the next one.
   *
   * @param {Events<ChatEvent>} event
   */
  apply({ id, version, type, time, data }) {
    this.received += 1;
    if (this.#version && version <= this.#version) {
      this.repeats += 1;
      return;
    }
    if (this.#version && version > this.#version + 1) this.gaps += 1;
    this.#version = version;
    this.ids.push(id);
    const when = new Date(time);
    if (type === 'MessagePosted') this.#message(data ?? {}, when);
    if (type === 'PersonJoined') this.#note(`${text(data?.name)} joined`, when);
    if (type === 'PersonLeft') this.#note(`${text(data?.name)} left`, when);
    if (type === 'RoomOpened') this.#note('Room created', when);
  }

  /** Shows a message before it is stored. Returns callbacks for its outcome. */
  showPending(words) {
    const line = this.#line({ person: this.#me.person, name: this.#me.name, text: words }, new Date());
    line.classList.add('pending');
    this.#append(line);
    return {
      stored: () => line.classList.remove('pending'),
      // Its event has arrived and replaces it.
      arrived: () => line.remove(),
      refused: (reason) => {
        line.classList.replace('pending', 'refused');
        /** @type {HTMLElement} */ (line.querySelector('.by')).dataset.reason = reason;
      },
    };
  }

  /** The pending message will arrive as an event with this id. */
  expect(id, line) {
    this.#pending.set(id, line);
  }

  #message(data, when) {
    const id = this.ids.at(-1);
    this.#pending.get(id)?.arrived();
    this.#pending.delete(id);
    this.#append(this.#line(data, when));
  }

  #line({ person, name, text: words }, when) {
    const line = document.createElement('li');
    line.className = person === this.#me.person ? 'message own' : 'message';
    const by = document.createElement('div');
    by.className = 'by';
    by.append(text(name), clock(when));
    const body = document.createElement('div');
    body.className = 'words';
    body.textContent = text(words);
    line.append(by, body);
    return line;
  }

  #note(words, when) {
    const line = document.createElement('li');
    line.className = 'note';
    line.append(`${words} · `, clock(when));
    this.#append(line);
  }

  #append(line) {
    const list = element('messages');
    const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(line);
    if (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
    if (follows) list.scrollTop = list.scrollHeight;
  }
}

// Any client can append anything.
const text = (value) => (typeof value === 'string' ? value : '?');

function clock(when) {
  const time = document.createElement('time');
  time.dateTime = when.toISOString();
  time.textContent = when.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return time;
}
