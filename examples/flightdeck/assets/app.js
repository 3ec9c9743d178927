// FlightDeck: puts the parts of the page together.

import { airlines } from './airlines.js';
import { Board } from './board.js';
import { Clock } from './clock.js';
import { Controls } from './controls.js';
import { Desk } from './desk.js';
import { Feed } from './feed.js';
import { Flights } from './flights.js';
import { Ledger } from './ledger.js';
import { Link } from './link.js';
import { Log } from './log.js';
import { Numbers } from './numbers.js';
import { page } from './page.js';
import { isReadable } from './readable.js';

const FEED = 'api/feed';
const DROPPED_FOR = 3_000;
const LOGGED = 120;
const RECALLED = 60;
const DRAWN_EVERY = 250;
// Besides server-sent events, which are what one gets without asking.
const TRANSPORTS = ['websocket', 'long-poll'];
// When the day rushes by, the board rests between its changes, so that one can read it.
const rest = (speed) => (speed > 240 ? 1_800 : speed > 20 ? 900 : 0);

const element = (id) => document.getElementById(id);
const chosen = new URLSearchParams(location.search);
const choice = {
  airport: chosen.get('airport') ?? '',
  airline: chosen.get('airline') ?? '',
  type: chosen.get('type') ?? '',
  transport: TRANSPORTS.find((name) => name === chosen.get('transport')) ?? '',
  view: 'board',
};

const ledger = new Ledger();
const flights = new Flights();
const clock = new Clock();
const link = new Link(ledger);
const numbers = new Numbers();
const log = new Log(element('log'));
const desk = new Desk(accepted);
const controls = new Controls(clock, say);
const board = new Board(
  element('rows'),
  { previous: element('previous'), next: element('next'), text: element('page') },
  (id) => desk.open(flights.get(id)),
);

let newest = [];
let since = '';
let awaited = [];
let changed = true;
let drawn = { at: 0, for: '', view: '', cursor: '' };

// What the board shows is loaded once, and follows this feed from the cursor of what was
// loaded; both filtered by airport and airline.
const feed = new Feed(FEED, {
  event(envelope) {
    ledger.check(envelope);
    if (!isReadable(envelope)) return arrived();
    clock.apply(envelope);
    flights.apply(envelope);
    numbers.note(envelope);
    newest.push(envelope);
    if (newest.length > 2 * LOGGED) newest = newest.slice(-LOGGED);
    if (!choice.type) log.add(envelope);
    arrived();
  },
  moved(frame) {
    link.head(frame.head);
    arrived();
  },
  state(name, detail, until) {
    link.state(name, detail, until);
    clock.live(name === 'live');
    if (name === 'live') askForTheClock();
    changed = true;
  },
  restart(why) {
    if (why) warn(`The log was replaced: the one that this page followed is gone (${why}). The board starts again from the beginning.`);
    ledger.restart();
    link.restart();
    flights.clear();
    clock.restart();
    newest = [];
    since = '';
    if (!choice.type) log.clear();
    changed = true;
  },
}, load);

/** Loads the board, and gives the cursor up to which events are in it. */
async function load() {
  const answer = await fetch(`api/board?${wanted()}`);
  if (!answer.ok) throw new Error(answer.statusText);
  const cursor = answer.headers.get('Feed-Cursor');
  const { rows } = await answer.json();
  flights.load(rows);
  ledger.load(rows, cursor);
  link.loaded(rows.length);
  since = cursor;
  changed = true;
  recall(cursor);
  return cursor;
}

// The log begins with what happened last before that.
async function recall(cursor) {
  const recalled = await page(FEED, [...tags(), ['after', `last:${RECALLED}`]]).catch(() => null);
  if (since !== cursor) return;
  const before = (recalled?.events ?? []).filter((envelope) => envelope.cursor <= cursor && isReadable(envelope));
  newest.unshift(...before);
  if (choice.type) return;
  log.clear();
  newest.slice(-LOGGED).forEach((envelope) => log.add(envelope));
}

// A log of one type has a feed of its own: the newest hundred, and what comes.
const typed = new Feed(FEED, {
  event: (envelope) => isReadable(envelope) && log.add(envelope),
  moved() {},
  state() {},
  restart: () => log.clear(),
}, 'last:100');

/** The filter that the server applies: it sends this page nothing else. */
function tags() {
  const { airport, airline } = choice;
  return [airport && ['tag', `airport:${airport}`], airline && ['tag', `airline:${airline}`]].filter(Boolean);
}

/** The same filter for queries. */
function wanted() {
  const { airport, airline } = choice;
  return new URLSearchParams(Object.entries({ airport, airline }).filter(([, value]) => value));
}

function follow() {
  board.toFirstPage();
  numbers.follow(wanted());
  feed.follow(tags());
  followType();
}

function followType() {
  log.clear();
  if (choice.type) typed.follow([...tags(), choice.type.split('=')]);
  else {
    typed.close();
    newest.slice(-LOGGED).forEach((envelope) => log.add(envelope));
  }
}

/** Goes on over the transport that was chosen, from where the page is. */
function carry() {
  press('transports', 'transport', choice.transport);
  for (const one of [feed, typed]) one.carry(choice.transport || 'sse');
}

// Once, on becoming live: events name the minute, this names the moment.
async function askForTheClock() {
  try {
    const replay = await (await fetch('api/replay')).json();
    if (feed.state === 'live') clock.set(replay);
  } catch {
    // The events alone are good enough.
  }
}

/** A command was carried out; say so, and again when its event is here. */
function accepted(what, cursor) {
  awaited.push({ what, cursor, since: performance.now() });
  say(`${what}. Accepted as ${cursor}.`);
  arrived();
}

function arrived() {
  changed = true;
  const here = awaited.filter(({ cursor }) => cursor <= feed.cursor);
  if (here.length === 0) return;
  awaited = awaited.filter((one) => !here.includes(one));
  drawn.at = 0; // whoever did something wants to see it
  const { what, since } = here.at(-1);
  const waited = Math.round(performance.now() - since);
  say(waited < 5 ? `${what}. The feed was faster than the answer.` : `${what}. On the feed ${waited} ms after the answer.`);
}

let silence = 0;
function say(text) {
  element('toast').textContent = text;
  element('toast').classList.add('shown');
  clearTimeout(silence);
  silence = setTimeout(() => element('toast').classList.remove('shown'), 5_000);
}

function warn(text) {
  element('banner-text').textContent = text;
  element('banner').hidden = false;
  fit();
}

function draw() {
  controls.draw();
  link.draw(feed.cursor);
  log.draw();
  numbers.draw();
  if (!changed && !clock.running()) return;
  changed = false;
  const now = clock.now();
  drawBoard(now);
  desk.draw();
  const counts = flights.counts(now);
  for (const button of element('views').children) {
    button.lastElementChild.textContent = counts[button.dataset.view];
  }
}

function drawBoard(now) {
  const wanted = JSON.stringify([choice, board.page]);
  const soon = drawn.at + (clock.running() ? rest(clock.speed) : 0);
  if (wanted === drawn.for && performance.now() < soon) return void (changed = true);
  drawn = { at: performance.now(), for: wanted, view: choice.view, cursor: feed.cursor };
  board.show(flights.view(choice.view, now), choice.view);
}

// As many rows as the window has room for: the board is seen whole.
function fit() {
  const phone = window.matchMedia('(max-width: 40rem)').matches;
  const height = element('rows').firstElementChild?.offsetHeight || 36;
  const room = window.innerHeight - element('rows').getBoundingClientRect().top - window.scrollY - 90;
  board.resize(phone ? 8 : Math.min(18, Math.max(8, Math.floor(room / height))));
  changed = true;
}

function press(group, name, value) {
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
press('airports', 'airport', choice.airport);

element('airports').addEventListener('click', ({ target }) => {
  const button = target.closest('button');
  if (!button) return;
  choose({ airport: button.dataset.airport });
  press('airports', 'airport', choice.airport);
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
  press('views', 'view', choice.view);
  board.toFirstPage();
  changed = true;
});
element('transports').addEventListener('click', ({ target }) => {
  const button = target.closest('button');
  if (!button) return;
  choose({ transport: button.dataset.transport });
  carry();
  say(`${button.textContent} carries the feed from here, after ${feed.cursor}.`);
});
element('drop').addEventListener('click', () => {
  feed.drop(DROPPED_FOR);
  if (choice.type) typed.drop(DROPPED_FOR);
});
element('banner-close').addEventListener('click', () => {
  element('banner').hidden = true;
  fit();
});
board.onturn = () => (changed = true);
window.addEventListener('resize', fit);

/** For tests and the curious: what this page knows, to look at. */
window.flightdeck = Object.freeze({
  get state() { return feed.state; },
  get cursor() { return feed.cursor; },
  get transport() { return feed.transport; },
  get shown() { return { view: drawn.view, cursor: drawn.cursor }; },
  get since() { return since; },
  get flights() { return flights.all().map(({ history, ...flight }) => flight); },
  get received() { return ledger.received; },
  get gaps() { return ledger.gaps; },
  get repeats() { return ledger.repeats; },
  get ids() { return [...ledger.ids]; },
});

board.resize(8);
fit();
carry();
follow();
setInterval(draw, DRAWN_EVERY);
