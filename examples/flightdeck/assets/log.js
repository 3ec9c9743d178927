// The event log of the page: what came over the wire, the newest on top.

import { short } from './flights.js';

const KEPT = 120;

const tell = {
  FlightScheduled: (data) => `${data.from} to ${data.city} at ${short(data.departs)}`,
  BoardingStarted: () => 'boarding',
  FlightDelayed: (data) => `${data.minutes} min later, ${short(data.departs)}${because(data)}`,
  GateChanged: (data) => `now at gate ${data.gate}${because(data)}`,
  FlightDeparted: () => 'in the air',
  FlightLanded: () => 'landed',
  FlightCancelled: (data) => `cancelled${because(data)}`,
  FlightDiverted: () => 'on its way elsewhere',
  ReplayStarted: (data) => `the day runs at ${data.speed}×${data.paused ? ', paused' : ''}`,
  ReplayStopped: () => 'the program was ended',
  ReplayPaused: () => 'the clock stands still',
  ReplayResumed: () => 'the clock goes on',
  ReplaySpeedChanged: (data) => `now at ${data.speed}×`,
  ReplayFinished: () => 'the day is over',
};

const titles = { BoardingStarted: 'Boarding', GateChanged: 'Gate' };

/** The event type in one word. */
export const title = (type) => titles[type] ?? type.replace(/^(Flight|Replay)/, '');

/** What happened, as a sentence begins. */
export const summary = ({ type, data }) => tell[type]?.(data) ?? type;

function because({ by, reason }) {
  return `${by === 'visitor' ? ', by a visitor' : ''}${reason ? `: ${reason}` : ''}`;
}

export class Log {
  #list;
  #coming = [];

  constructor(list) {
    this.#list = list;
  }

  clear() {
    this.#coming = [];
    this.#list.replaceChildren();
  }

  add(envelope) {
    this.#coming.push(envelope);
    if (this.#coming.length > KEPT * 2) this.#coming.splice(0, KEPT);
  }

  /** Puts what has come into the page; as often as the page is drawn, not as events come. */
  draw() {
    if (this.#coming.length === 0) return;
    const lines = this.#coming.slice(-KEPT).reverse().map(line);
    this.#coming = [];
    this.#list.prepend(...lines);
    while (this.#list.childElementCount > KEPT) this.#list.lastElementChild.remove();
  }
}

function line(envelope) {
  const { type, data, stream } = envelope;
  const entry = document.createElement('details');
  const head = document.createElement('summary');
  head.append(
    span('when', short(data.at ?? data.clock)),
    span('kind', title(type)),
    span('what', `${stream.replace(/^flight-/, '')} ${summary(envelope)}`),
  );
  entry.dataset.type = type;
  entry.append(head);
  // The envelope as it came, once somebody wants to see it.
  entry.addEventListener('toggle', () => {
    if (entry.childElementCount > 1) return;
    const raw = document.createElement('pre');
    raw.textContent = JSON.stringify(envelope, null, 2);
    entry.append(raw);
  });
  const item = document.createElement('li');
  item.append(entry);
  return item;
}

function span(className, text) {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}
