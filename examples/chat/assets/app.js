// The main module of the page: one socket, four subscriptions, and the parts that show them.

import { ConnectionPanel } from './connection-panel.js';
import { People } from './people.js';
import { Room } from './room.js';
import { Rooms } from './rooms.js';
import { Socket, uuid7 } from './socket.js';

const DISCONNECT_MS = 3_000;
const element = (id) => document.getElementById(id);

// Each tab is a person.
const me = JSON.parse(sessionStorage.getItem('me') ?? 'null') ?? { person: uuid7(), name: '' };
const room = new Room(me);
const rooms = new Rooms(enter);
const people = new People(me, rooms);
const panel = new ConnectionPanel();
const socket = new Socket('/api/feed', {
  state: (name, detail, until) => panel.state(name, detail, until, room),
  // The log was replaced: start again.
  restart: () => location.reload(),
});

let current = '';
let cursor = '';
let leave = () => {};

// ANCHOR: subscriptions
async function start() {
  const addRoom = (event) => rooms.add(event);
  socket.subscribe('start', { type: ['RoomOpened'] }, addRoom, () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (!current) enter(rooms.has(wanted) ? wanted : rooms.first);
  });
  socket.subscribe('now', { type: ['MessagePosted'] }, (event) => rooms.countUnread(event));
  // The list has a cursor: a subscription after that cursor has no gap.
  const loaded = await people.load();
  socket.subscribe(loaded, { type: ['PersonJoined', 'PersonLeft'] }, (event) => people.apply(event));
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
    room.apply(event);
  });
}
// ANCHOR_END: subscriptions

// ANCHOR: say
async function send(words) {
  const { person, name } = me;
  const line = room.showPending(words);
  const event = { id: uuid7(), type: 'MessagePosted', data: { person, name, text: words } };
  room.expect(event.id, line);
  await socket.append(current, event).then(line.stored, ({ message }) => line.refused(message));
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
  const body = JSON.stringify({ name: element('room-name').value });
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch('/api/rooms', { method: 'POST', headers, body }).catch(() => null);
  const { room: opened, detail } = (await answer?.json().catch(() => null)) ?? {};
  element('refusal').textContent = answer?.ok ? '' : (detail ?? 'Cannot reach the server.');
  if (!answer?.ok) return;
  element('room-name').value = '';
  enter(opened);
});

element('disconnect').addEventListener('click', () => socket.disconnect(DISCONNECT_MS));
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
  panel.draw(socket, room, cursor);
  window.chat = {
    state: socket.state, room: current, received: room.received, gaps: room.gaps, repeats: room.repeats,
    ids: room.ids, cursor, sent: socket.sent, acknowledged: socket.acknowledged,
  };
}

if (me.name) rename(me.name);
else askName();
setInterval(draw, 250);
start();
