// Punctuality and the busiest routes: live queries.

import { airlines } from './airlines.js';
import { LiveQuery } from './live-query.js';

const MAX_LINES = 6;

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
  #query = [];
  #rows = null;
  #live = new LiveQuery((rows) => (this.#rows = rows));

  constructor() {
    element('statistics-tabs').addEventListener('click', ({ target }) => {
      const tab = target.closest('button')?.dataset.statistics;
      if (tab) this.#choose(tab);
    });
  }

  /** Shows the statistics of this airport and airline. */
  follow(query) {
    this.#query = [...query];
    this.#live.follow(this.#tab, this.#query);
  }

  /** Shows the rows if they have changed. Called when the page is drawn. */
  draw() {
    if (!this.#rows) return;
    this.#show(tabs[this.#tab], this.#rows);
    this.#rows = null;
  }

  switchTransport(transport) {
    this.#live.switchTransport(transport);
  }

  #choose(tab) {
    this.#tab = tab;
    this.#rows = null;
    for (const button of element('statistics-tabs').children) {
      button.setAttribute('aria-pressed', String(button.dataset.statistics === tab));
    }
    this.#live.follow(tab, this.#query);
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
