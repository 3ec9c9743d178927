// Puts the page together: one socket, four subscriptions, and what they are shown as.

import { Link } from './link.js';
import { People } from './people.js';
import { Room } from './room.js';
import { Rooms } from './rooms.js';
import { Socket, uuid7 } from './socket.js';

const DROP_MS = 3_000;
const element = (id) => document.getElementById(id);

// Each tab is a person, so that two of them can talk.
const me = JSON.parse(sessionStorage.getItem('me') ?? 'null') ?? { person: uuid7(), name: '' };
const room = new Room(me);
const rooms = new Rooms(enter);
const people = new People(me, rooms);
const link = new Link();
const socket = new Socket('/api/feed', {
  state: (name, detail, until) => link.state(name, detail, until, room),
  // The log is another one: nothing that the page knows is worth anything.
  restart: () => location.reload(),
});

let current = '';
let cursor = '';
let leave = () => {};

// ANCHOR: subscriptions
async function start() {
  const opened = (event) => rooms.opened(event);
  socket.subscribe('start', { type: ['RoomOpened'] }, opened, () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (!current) enter(rooms.has(wanted) ? wanted : rooms.first);
  });
  socket.subscribe('now', { type: ['MessagePosted'] }, (event) => rooms.said(event));
  // The list and the cursor that it is of: what is subscribed after it has no gap.
  const loaded = await people.load();
  socket.subscribe(loaded, { type: ['PersonJoined', 'PersonLeft'] }, (event) => people.heard(event));
  socket.start();
}

function enter(name) {
  if (name === current) return;
  leave();
  current = name;
  history.replaceState(null, '', `#${encodeURIComponent(name)}`);
  room.enter(rooms.name(name));
  rooms.enter(name);
  people.enter(name);
  leave = socket.subscribe('last:100', { stream: [name] }, (event) => {
    cursor = event.cursor;
    room.heard(event);
  });
}
// ANCHOR_END: subscriptions

// ANCHOR: say
async function say(words) {
  const { person, name } = me;
  const sending = room.sending(words);
  const event = { id: uuid7(), type: 'MessagePosted', data: { person, name, text: words } };
  room.expect(event.id, sending);
  await socket.append(current, event).then(sending.stored, ({ message }) => sending.refused(message));
}
// ANCHOR_END: say

element('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const words = element('text').value.trim();
  element('text').value = '';
  if (words && current) say(words);
});

element('open').addEventListener('submit', async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ name: element('room-name').value });
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch('/api/rooms', { method: 'POST', headers, body }).catch(() => null);
  const { room: opened, detail } = (await answer?.json().catch(() => null)) ?? {};
  element('refusal').textContent = answer?.ok ? '' : (detail ?? 'The server cannot be reached.');
  if (!answer?.ok) return;
  element('room-name').value = '';
  enter(opened);
});

element('drop').addEventListener('click', () => socket.drop(DROP_MS));
element('name').addEventListener('click', () => askName());
element('who').addEventListener('cancel', (event) => {
  if (!me.name) event.preventDefault();
});
element('who-form').addEventListener('submit', () => called(element('who-name').value.trim()));

function askName() {
  element('who-name').value = me.name;
  element('who').showModal();
}

function called(name) {
  if (!name) return;
  me.name = name;
  sessionStorage.setItem('me', JSON.stringify(me));
  element('name').textContent = name;
  people.renamed();
}

function draw() {
  link.draw(socket, room, cursor);
  window.chat = {
    state: socket.state, room: current, received: room.received, gaps: room.gaps, repeats: room.repeats,
    ids: room.ids, cursor, sent: socket.sent, acknowledged: socket.acknowledged,
  };
}

if (me.name) called(me.name);
else askName();
setInterval(draw, 250);
start();
