// The main module of the page: one connection, four feeds, and the parts that show them.

import { ConnectionPanel } from './connection-panel.js';
import { Connection } from './connection.js';
import { connect, newId } from './downlink.js';
import { People } from './people.js';
import { Room } from './room.js';
import { Rooms } from './rooms.js';

/** @import { ChatEvent } from '../page/types.gen.ts' */

const DISCONNECT_MS = 3_000;
/** How long a message is sent again while the server does not answer. */
const SEND_MS = 600_000;
/** @returns {any} */
const element = (id) => document.getElementById(id);

// Each tab is a person.
const me = JSON.parse(sessionStorage.getItem('me') ?? 'null') ?? { person: newId(), name: '' };
const room = new Room(me);
const rooms = new Rooms(enter);
const api = connect('/api');
const people = new People(me, rooms, api);
const panel = new ConnectionPanel();
const connection = new Connection(api, (state, detail, until) => panel.state(state, detail, until, room));

let current = '';
let sent = 0;
let acknowledged = 0;
let sending = Promise.resolve();
let cursor = '';
let leave = () => {};

// ANCHOR: subscriptions
async function start() {
  const addRoom = (event) => rooms.add(event);
  connection.follow({ after: 'start', filter: { type: 'RoomOpened' } }, addRoom, () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (!current) enter(rooms.has(wanted) ? wanted : rooms.first);
  });
  connection.follow({ after: 'now', filter: { type: 'MessagePosted' } }, (event) => rooms.countUnread(event));
  // The list has a cursor: a feed that begins after it has no gap.
  const after = await people.load();
  connection.follow({ after, filter: { type: ['PersonJoined', 'PersonLeft'] } }, (event) => people.apply(event));
}

function enter(name) {
  if (name === current) return;
  leave();
  current = name;
  history.replaceState(null, '', `#${encodeURIComponent(name)}`);
  room.enter(rooms.name(name));
  rooms.enter(name);
  people.enter(name);
  leave = connection.follow({ after: 'last:100', filter: { stream: name } }, (event) => {
    cursor = event.cursor;
    room.apply(event);
  });
}
// ANCHOR_END: subscriptions

// ANCHOR: say
async function send(words) {
  const { person, name } = me;
  const line = room.showPending(words);
  /** @type {Extract<ChatEvent, { MessagePosted: object }>['MessagePosted']} */
  const data = { person, name, text: words };
  // Sent again with the same id if the answer is lost, the event is stored once.
  const event = { id: newId(), type: 'MessagePosted', data };
  room.expect(event.id, line);
  const path = `/streams/${encodeURIComponent(current)}`;
  // One after the other, so that they keep their order.
  sending = sending.then(() => append(path, event)).then(line.stored, ({ message }) => line.refused(message));
  await sending;
}

async function append(path, event) {
  sent += 1;
  await api.post(path, event, { timeout: SEND_MS });
  acknowledged += 1;
}
// ANCHOR_END: say

element('send').addEventListener('submit', (event) => {
  event.preventDefault();
  const words = element('text').value.trim();
  element('text').value = '';
  if (words && current) send(words);
});

element('open').addEventListener('submit', async (event) => {
  event.preventDefault();
  element('refusal').textContent = '';
  try {
    /** @type {{ data: any }} */
    const { data } = await api.post('/rooms', { name: element('room-name').value });
    element('room-name').value = '';
    enter(data.room);
  } catch (error) {
    element('refusal').textContent = error.problem?.detail ?? 'Cannot reach the server.';
  }
});

element('disconnect').addEventListener('click', () => connection.disconnect(DISCONNECT_MS));
element('name').addEventListener('click', () => askName());
element('who').addEventListener('cancel', (event) => {
  if (!me.name) event.preventDefault();
});
element('who-form').addEventListener('submit', () => rename(element('who-name').value.trim()));

function askName() {
  element('who-name').value = me.name;
  element('who').showModal();
}

function rename(name) {
  if (!name) return;
  me.name = name;
  sessionStorage.setItem('me', JSON.stringify(me));
  element('name').textContent = name;
  people.sendHeartbeat();
}

function draw() {
  panel.draw({ feeds: connection.feeds, sent, acknowledged }, room, cursor);
  // What is on the page; tests read it.
  Object.assign(window, { chat: {
    state: panel.current, room: current, received: room.received, gaps: room.gaps, repeats: room.repeats,
    ids: room.ids, cursor, sent, acknowledged,
  } });
}

if (me.name) rename(me.name);
else askName();
setInterval(draw, 250);
start();
