// The list of rooms, with the number of unread messages of each.

/** @import { ChatEvent } from '../page/types.gen.ts' */
/** @import { Events } from './downlink.js' */

const element = (id) => document.getElementById(id);

export class Rooms {
  #names = new Map();
  #unread = new Map();
  #open = '';
  #enter;

  /** @param enter called with the room that the user selects */
  constructor(enter) {
    this.#enter = enter;
  }

  /**
   * A room was opened.
   *
   * @param {Events<ChatEvent>} event
   */
  add({ stream, data }) {
    this.#names.set(stream, typeof data?.name === 'string' ? data.name : stream);
    this.draw();
  }

  /** A message was posted in some room. */
  countUnread({ stream }) {
    if (stream === this.#open) return;
    this.#unread.set(stream, (this.#unread.get(stream) ?? 0) + 1);
    this.draw();
  }

  /** This room is open now. */
  enter(room) {
    this.#open = room;
    this.#unread.delete(room);
    this.draw();
  }

  name(room) {
    return this.#names.get(room) ?? room;
  }

  get first() {
    return this.#names.keys().next().value;
  }

  has(room) {
    return this.#names.has(room);
  }

  draw() {
    const rooms = [...this.#names].map(([room, name]) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.room = room;
      button.setAttribute('aria-current', String(room === this.#open));
      const title = document.createElement('span');
      title.className = 'title-of';
      title.textContent = name;
      const badge = document.createElement('span');
      badge.className = 'badge';
      badge.textContent = this.#unread.get(room) ?? '';
      button.append(title, badge);
      button.addEventListener('click', () => this.#enter(room));
      item.append(button);
      return item;
    });
    element('rooms').replaceChildren(...rooms);
  }
}
