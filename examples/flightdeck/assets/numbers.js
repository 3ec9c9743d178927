// Punctuality and the busiest routes: asked of the server now and then, as long as
// something happens that could change them.

import { airlines } from './airlines.js';

const EVERY_MS = 3_000;
const SHOWN = 6;
const COUNTED = ['FlightDeparted', 'FlightCancelled', 'FlightDiverted'];

const element = (id) => document.getElementById(id);

// What each tab shows: a name, how full its bar is, and what stands behind it.
const tabs = {
  punctuality: {
    detail: 'Who left less than 15 minutes late, of those who have left.',
    none: 'Nobody has left yet.',
    lines: (rows) => rows.filter(({ departed }) => departed > 0).map(({ airline, departed, onTime }) => ({
      name: airlines[airline] ?? airline,
      share: onTime / departed,
      text: `${Math.round((100 * onTime) / departed)} % of ${departed.toLocaleString('en')}`,
    })),
  },
  routes: {
    detail: 'Flights that have left.',
    none: 'Nobody has left yet.',
    lines: (rows) => rows.map(({ from, city, departed }) => ({
      name: `${from} ${city}`,
      share: departed / rows[0].departed,
      plain: true,
      text: departed.toLocaleString('en'),
    })),
  },
};

export class Numbers {
  #tab = 'punctuality';
  #wanted = new URLSearchParams();
  #stale = true;
  #asked = 0;
  #asking = null;

  constructor() {
    element('numbers-tabs').addEventListener('click', ({ target }) => {
      const tab = target.closest('button')?.dataset.numbers;
      if (tab) this.#choose(tab);
    });
  }

  /** Shows the numbers of this airport and airline. */
  follow(wanted) {
    this.#wanted = wanted;
    this.#again();
  }

  /** Something happened; perhaps it counts. */
  note({ type }) {
    if (COUNTED.includes(type)) this.#stale = true;
  }

  /** Asks, if it is time to; as often as the page is drawn. */
  draw() {
    if (!this.#stale || this.#asking || performance.now() < this.#asked + EVERY_MS) return;
    this.#ask();
  }

  #choose(tab) {
    this.#tab = tab;
    for (const button of element('numbers-tabs').children) {
      button.setAttribute('aria-pressed', String(button.dataset.numbers === tab));
    }
    this.#again();
  }

  #again() {
    this.#asking = null;
    this.#asked = -Infinity;
    this.#stale = true;
  }

  async #ask() {
    const asking = (this.#asking = Symbol('asking'));
    this.#stale = false;
    this.#asked = performance.now();
    const answer = await fetch(`api/${this.#tab}?${this.#wanted}`)
      .then((response) => (response.ok ? response.json() : null)).catch(() => null);
    if (asking !== this.#asking) return; // another tab or filter was chosen meanwhile
    this.#asking = null;
    if (answer) this.#show(tabs[this.#tab], answer.rows);
    else this.#stale = true;
  }

  #show({ detail, none, lines }, rows) {
    const shown = lines(rows).slice(0, SHOWN);
    element('numbers').className = this.#tab;
    element('numbers').replaceChildren(...shown.map(line));
    element('numbers-detail').textContent = shown.length > 0 ? detail : none;
  }
}

function line({ name, share, text, plain }) {
  const item = document.createElement('li');
  const label = document.createElement('span');
  label.textContent = name;
  const bar = document.createElement('meter');
  // The colour says how good a share is, where there is good and bad.
  const judged = plain ? {} : { low: 0.6, high: 0.75, optimum: 1 };
  Object.assign(bar, { min: 0, max: 1, value: share, ...judged });
  bar.textContent = text;
  bar.ariaLabel = name;
  const value = document.createElement('span');
  value.textContent = text;
  item.append(label, bar, value);
  return item;
}
