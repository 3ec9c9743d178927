// The main module of FlightDeck's page.

import { airlines } from './airlines.js';
import { Board } from './board.js';
import { Clock } from './clock.js';
import { ConnectionPanel } from './connection-panel.js';
import { Controls } from './controls.js';
import { FeedCheck } from './feed-check.js';
import { Feed } from './feed.js';
import { FlightDialog } from './flight-dialog.js';
import { Flights } from './flights.js';
import { Log } from './log.js';
import { fetchPage } from './page.js';
import { isReadable } from './readable.js';
import { Statistics } from './statistics.js';

const FEED = 'api/feed';
const DISCONNECT_MS = 3_000;
const LOG_LINES = 120;
const RECENT_EVENTS = 60;
const DRAW_MS = 250;
// In addition to server-sent events, the default.
const TRANSPORTS = ['websocket', 'long-poll'];
// At high speed the board changes less often, so that it can be read.
const redrawPause = (speed) => (speed > 240 ? 1_800 : speed > 20 ? 900 : 0);

const element = (id) => document.getElementById(id);
const chosen = new URLSearchParams(location.search);
const choice = {
  airport: chosen.get('airport') ?? '',
  airline: chosen.get('airline') ?? '',
  type: chosen.get('type') ?? '',
  transport: TRANSPORTS.find((name) => name === chosen.get('transport')) ?? '',
  view: 'board',
};

const feedCheck = new FeedCheck();
const flights = new Flights();
const clock = new Clock();
const panel = new ConnectionPanel(feedCheck);
const statistics = new Statistics();
const log = new Log(element('log'));
const dialog = new FlightDialog(commandAccepted);
const controls = new Controls(clock, showToast);
const board = new Board(
  element('rows'),
  { previous: element('previous'), next: element('next'), text: element('page') },
  (id) => dialog.open(flights.get(id)),
);

let newest = [];
let since = '';
let pending = [];
let changed = true;
let drawn = { at: 0, for: '', view: '', cursor: '' };

// The board is loaded once, and then follows this feed from the cursor of the loaded state. Both
// are filtered by airport and airline.
const feed = new Feed(FEED, {
  event(envelope) {
    feedCheck.check(envelope);
    if (!isReadable(envelope)) return eventsArrived();
    clock.apply(envelope);
    flights.apply(envelope);
    newest.push(envelope);
    if (newest.length > 2 * LOG_LINES) newest = newest.slice(-LOG_LINES);
    if (!choice.type) log.add(envelope);
    eventsArrived();
  },
  progress(frame) {
    panel.head(frame.head);
    eventsArrived();
  },
  state(name, detail, until) {
    panel.state(name, detail, until);
    clock.live(name === 'live');
    if (name === 'live') loadClock();
    changed = true;
  },
  restart(reason) {
    if (reason) showBanner(`The log was replaced (${reason}). The board was reloaded.`);
    feedCheck.restart();
    panel.restart();
    flights.clear();
    clock.restart();
    newest = [];
    since = '';
    if (!choice.type) log.clear();
    changed = true;
  },
}, load);

/** Loads the board, and returns the cursor of the last event in it. */
async function load() {
  const answer = await fetch(`api/board?${query()}`);
  if (!answer.ok) throw new Error(answer.statusText);
  const cursor = answer.headers.get('Feed-Cursor');
  const { rows } = await answer.json();
  flights.load(rows);
  feedCheck.load(rows, cursor);
  panel.loaded(rows.length);
  since = cursor;
  changed = true;
  loadRecentEvents(cursor);
  return cursor;
}

// The event log begins with the newest events before that cursor.
async function loadRecentEvents(cursor) {
  const recent = await fetchPage(FEED, [...tags(), ['after', `last:${RECENT_EVENTS}`]]).catch(() => null);
  if (since !== cursor) return;
  const before = (recent?.events ?? []).filter((envelope) => envelope.cursor <= cursor && isReadable(envelope));
  newest.unshift(...before);
  if (choice.type) return;
  log.clear();
  newest.slice(-LOG_LINES).forEach((envelope) => log.add(envelope));
}

// A log of one event type has its own feed: the newest hundred events, and new ones.
const typed = new Feed(FEED, {
  event: (envelope) => isReadable(envelope) && log.add(envelope),
  progress() {},
  state() {},
  restart: () => log.clear(),
}, 'last:100');

/** The filter of the feed. */
function tags() {
  const { airport, airline } = choice;
  return [airport && ['tag', `airport:${airport}`], airline && ['tag', `airline:${airline}`]].filter(Boolean);
}

/** The same filter for queries of read models. */
function query() {
  const { airport, airline } = choice;
  return new URLSearchParams(Object.entries({ airport, airline }).filter(([, value]) => value));
}

function follow() {
  board.toFirstPage();
  statistics.follow(query());
  feed.follow(tags());
  followType();
}

function followType() {
  log.clear();
  if (choice.type) typed.follow([...tags(), choice.type.split('=')]);
  else {
    typed.close();
    newest.slice(-LOG_LINES).forEach((envelope) => log.add(envelope));
  }
}

/** Switches to the selected transport, at the current cursor. */
function switchTransport() {
  setPressed('transports', 'transport', choice.transport);
  for (const one of [feed, typed, statistics]) one.switchTransport(choice.transport || 'sse');
}

// Once, when live: events have minutes, this has the exact time.
async function loadClock() {
  try {
    const replay = await (await fetch('api/replay')).json();
    if (feed.state === 'live') clock.set(replay);
  } catch {
    // The events alone are sufficient.
  }
}

/** Reports that a command was executed, and waits for its event. */
function commandAccepted(what, cursor) {
  pending.push({ what, cursor, since: performance.now() });
  showToast(`${what}; the cursor is ${cursor}.`);
  eventsArrived();
}

function eventsArrived() {
  changed = true;
  const arrived = pending.filter(({ cursor }) => cursor <= feed.cursor);
  if (arrived.length === 0) return;
  pending = pending.filter((one) => !arrived.includes(one));
  drawn.at = 0; // show the effect of the user's command at once
  const { what, since } = arrived.at(-1);
  const waited = Math.round(performance.now() - since);
  showToast(waited < 5 ? `${what}. The event arrived before the response.` : `${what}. The event arrived ${waited} ms after the response.`);
}

let toastTimer = 0;
function showToast(text) {
  element('toast').textContent = text;
  element('toast').classList.add('shown');
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element('toast').classList.remove('shown'), 5_000);
}

function showBanner(text) {
  element('banner-text').textContent = text;
  element('banner').hidden = false;
  fit();
}

function draw() {
  controls.draw();
  panel.draw(feed.cursor);
  log.draw();
  statistics.draw();
  if (!changed && !clock.running()) return;
  changed = false;
  const now = clock.now();
  drawBoard(now);
  dialog.draw();
  const counts = flights.counts(now);
  for (const button of element('views').children) {
    button.lastElementChild.textContent = counts[button.dataset.view];
  }
}

function drawBoard(now) {
  const wanted = JSON.stringify([choice, board.page]);
  const soon = drawn.at + (clock.running() ? redrawPause(clock.speed) : 0);
  if (wanted === drawn.for && performance.now() < soon) return void (changed = true);
  drawn = { at: performance.now(), for: wanted, view: choice.view, cursor: feed.cursor };
  board.show(flights.view(choice.view, now), choice.view);
}

// As many rows as fit into the window.
function fit() {
  const phone = window.matchMedia('(max-width: 40rem)').matches;
  const height = element('rows').firstElementChild?.offsetHeight || 36;
  const room = window.innerHeight - element('rows').getBoundingClientRect().top - window.scrollY - 90;
  board.resize(phone ? 8 : Math.min(18, Math.max(8, Math.floor(room / height))));
  changed = true;
}

function setPressed(group, name, value) {
  for (const button of element(group).children) {
    button.setAttribute('aria-pressed', String(button.dataset[name] === value));
  }
}

function choose(change) {
  Object.assign(choice, change);
  const query = new URLSearchParams(
    ['airport', 'airline', 'type', 'transport'].filter((name) => choice[name]).map((name) => [name, choice[name]]));
  history.replaceState(null, '', query.size > 0 ? `?${query}` : location.pathname);
}

element('airline').append(...Object.entries(airlines).map(([code, name]) => new Option(`${code} ${name}`, code)));
element('airline').value = choice.airline;
element('type').value = choice.type;
setPressed('airports', 'airport', choice.airport);

element('airports').addEventListener('click', ({ target }) => {
  const button = target.closest('button');
  if (!button) return;
  choose({ airport: button.dataset.airport });
  setPressed('airports', 'airport', choice.airport);
  follow();
});
element('airline').addEventListener('change', ({ target }) => {
  choose({ airline: target.value });
  follow();
});
element('type').addEventListener('change', ({ target }) => {
  choose({ type: target.value });
  followType();
});
element('views').addEventListener('click', ({ target }) => {
  const button = target.closest('button');
  if (!button) return;
  choice.view = button.dataset.view;
  setPressed('views', 'view', choice.view);
  board.toFirstPage();
  changed = true;
});
element('transports').addEventListener('click', ({ target }) => {
  const button = target.closest('button');
  if (!button) return;
  choose({ transport: button.dataset.transport });
  switchTransport();
  showToast(`Switched to ${button.textContent} after cursor ${feed.cursor}.`);
});
element('disconnect').addEventListener('click', () => {
  feed.disconnect(DISCONNECT_MS);
  if (choice.type) typed.disconnect(DISCONNECT_MS);
});
element('banner-close').addEventListener('click', () => {
  element('banner').hidden = true;
  fit();
});
board.onpage = () => (changed = true);
window.addEventListener('resize', fit);

/** The state of the page, for tests and for the browser's console. */
window.flightdeck = Object.freeze({
  get state() { return feed.state; },
  get cursor() { return feed.cursor; },
  get transport() { return feed.transport; },
  get shown() { return { view: drawn.view, cursor: drawn.cursor }; },
  get since() { return since; },
  get flights() { return flights.all().map(({ history, ...flight }) => flight); },
  get received() { return feedCheck.received; },
  get gaps() { return feedCheck.gaps; },
  get repeats() { return feedCheck.repeats; },
  get ids() { return [...feedCheck.ids]; },
});

board.resize(8);
fit();
switchTransport();
follow();
setInterval(draw, DRAW_MS);
