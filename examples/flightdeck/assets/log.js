// The event log of the page, newest first.

import { short } from './flights.js';

const MAX_LINES = 120;

const summaries = {
  FlightScheduled: (data) => `${data.from} to ${data.city} at ${short(data.departs)}`,
  BoardingStarted: () => 'boarding',
  FlightDelayed: (data) => `${data.minutes} min later, ${short(data.departs)}${because(data)}`,
  GateChanged: (data) => `now at gate ${data.gate}${because(data)}`,
  FlightDeparted: () => 'in the air',
  FlightLanded: () => 'landed',
  FlightCancelled: (data) => `cancelled${because(data)}`,
  FlightDiverted: () => 'diverted',
  ReplayStarted: (data) => `started at ${data.speed}×${data.paused ? ', paused' : ''}`,
  ReplayStopped: () => 'stopped',
  ReplayPaused: () => 'paused',
  ReplayResumed: () => 'resumed',
  ReplaySpeedChanged: (data) => `now at ${data.speed}×`,
  ReplayFinished: () => 'finished',
};

const titles = { BoardingStarted: 'Boarding', GateChanged: 'Gate' };

/** The event type as one word. */
export const title = (type) => titles[type] ?? type.replace(/^(Flight|Replay)/, '');

/** A summary of the event. */
export const summary = ({ type, data }) => summaries[type]?.(data) ?? type;

function because({ by, reason }) {
  return `${by === 'visitor' ? ', by a visitor' : ''}${reason ? `: ${reason}` : ''}`;
}

export class Log {
  #list;
  #pending = [];

  constructor(list) {
    this.#list = list;
  }

  clear() {
    this.#pending = [];
    this.#list.replaceChildren();
  }

  add(envelope) {
    this.#pending.push(envelope);
    if (this.#pending.length > MAX_LINES * 2) this.#pending.splice(0, MAX_LINES);
  }

  /** Shows the added events. Called when the page is drawn, not for each event. */
  draw() {
    if (this.#pending.length === 0) return;
    const lines = this.#pending.slice(-MAX_LINES).reverse().map(line);
    this.#pending = [];
    this.#list.prepend(...lines);
    while (this.#list.childElementCount > MAX_LINES) this.#list.lastElementChild.remove();
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
  // The raw envelope is added when the entry is opened first.
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
