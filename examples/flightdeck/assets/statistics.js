// Punctuality and the busiest routes: requested again after events that can change them.

import { airlines } from './airlines.js';

const REFRESH_MS = 3_000;
const MAX_LINES = 6;
const RELEVANT_TYPES = ['FlightDeparted', 'FlightCancelled', 'FlightDiverted'];

const element = (id) => document.getElementById(id);

// The lines of each tab: a name, the share that the bar shows, and a text.
const tabs = {
  punctuality: {
    detail: 'Departures less than 15 minutes late, of all departures.',
    none: 'No departures yet.',
    lines: (rows) => rows.filter(({ departed }) => departed > 0).map(({ airline, departed, onTime }) => ({
      name: airlines[airline] ?? airline,
      share: onTime / departed,
      text: `${Math.round((100 * onTime) / departed)} % of ${departed.toLocaleString('en')}`,
    })),
  },
  routes: {
    detail: 'Departures by route.',
    none: 'No departures yet.',
    lines: (rows) => rows.map(({ from, city, departed }) => ({
      name: `${from} ${city}`,
      share: departed / rows[0].departed,
      plain: true,
      text: departed.toLocaleString('en'),
    })),
  },
};

export class Statistics {
  #tab = 'punctuality';
  #query = new URLSearchParams();
  #stale = true;
  #requestedAt = 0;
  #request = null;

  constructor() {
    element('statistics-tabs').addEventListener('click', ({ target }) => {
      const tab = target.closest('button')?.dataset.statistics;
      if (tab) this.#choose(tab);
    });
  }

  /** Shows the statistics of this airport and airline. */
  follow(query) {
    this.#query = query;
    this.#again();
  }

  /** Notes an event that may change the statistics. */
  note({ type }) {
    if (RELEVANT_TYPES.includes(type)) this.#stale = true;
  }

  /** Requests the statistics again if necessary. Called when the page is drawn. */
  draw() {
    if (!this.#stale || this.#request || performance.now() < this.#requestedAt + REFRESH_MS) return;
    this.#load();
  }

  #choose(tab) {
    this.#tab = tab;
    for (const button of element('statistics-tabs').children) {
      button.setAttribute('aria-pressed', String(button.dataset.statistics === tab));
    }
    this.#again();
  }

  #again() {
    this.#request = null;
    this.#requestedAt = -Infinity;
    this.#stale = true;
  }

  async #load() {
    const request = (this.#request = Symbol('request'));
    this.#stale = false;
    this.#requestedAt = performance.now();
    const answer = await fetch(`api/${this.#tab}?${this.#query}`)
      .then((response) => (response.ok ? response.json() : null)).catch(() => null);
    if (request !== this.#request) return; // another tab or filter was selected meanwhile
    this.#request = null;
    if (answer) this.#show(tabs[this.#tab], answer.rows);
    else this.#stale = true;
  }

  #show({ detail, none, lines }, rows) {
    const shown = lines(rows).slice(0, MAX_LINES);
    element('statistics').className = this.#tab;
    element('statistics').replaceChildren(...shown.map(line));
    element('statistics-detail').textContent = shown.length > 0 ? detail : none;
  }
}

function line({ name, share, text, plain }) {
  const item = document.createElement('li');
  const label = document.createElement('span');
  label.textContent = name;
  const bar = document.createElement('meter');
  // The colour shows how good a share is, if that has a meaning.
  const thresholds = plain ? {} : { low: 0.6, high: 0.75, optimum: 1 };
  Object.assign(bar, { min: 0, max: 1, value: share, ...thresholds });
  bar.textContent = text;
  bar.ariaLabel = name;
  const value = document.createElement('span');
  value.textContent = text;
  item.append(label, bar, value);
  return item;
}
