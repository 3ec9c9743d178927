// The room that is open: what was said, and by whom. The texts are those of strangers.

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

  /** Another room: what was shown goes. Messages that wait for their answer belong to it. */
  enter(name) {
    element('room').textContent = name;
    element('messages').replaceChildren();
    this.#version = 0;
    this.ids = [];
    this.#pending.clear();
  }

  /** An event of this room, which has to be the next one. */
  heard({ id, version, type, time, data }) {
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
    if (type === 'PersonJoined') this.#note(`${text(data?.name)} came in`, when);
    if (type === 'PersonLeft') this.#note(`${text(data?.name)} left`, when);
    if (type === 'RoomOpened') this.#note('The room was opened', when);
  }

  /** Shows a message before it is stored. Gives what to do with its answer. */
  sending(words) {
    const line = this.#line({ person: this.#me.person, name: this.#me.name, text: words }, new Date());
    line.classList.add('pending');
    this.#append(line);
    return {
      stored: () => line.classList.remove('pending'),
      // The event itself takes its place.
      heard: () => line.remove(),
      refused: (why) => {
        line.classList.replace('pending', 'refused');
        line.querySelector('.by').dataset.why = why;
      },
    };
  }

  /** This message will come as an event with this id. */
  expect(id, sending) {
    this.#pending.set(id, sending);
  }

  #message(data, when) {
    const id = this.ids.at(-1);
    this.#pending.get(id)?.heard();
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

// Anybody may have appended anything.
const text = (value) => (typeof value === 'string' ? value : '?');

function clock(when) {
  const time = document.createElement('time');
  time.dateTime = when.toISOString();
  time.textContent = when.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return time;
}
