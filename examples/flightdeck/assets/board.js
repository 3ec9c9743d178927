// The board: a page of flights, as rows of split-flap tiles.

import { Flaps } from './flaps.js';
import { short } from './flights.js';

const words = {
  scheduled: 'On time',
  boarding: 'Boarding',
  delayed: 'Delayed',
  departed: 'Departed',
  landed: 'Landed',
  cancelled: 'Cancelled',
  diverted: 'Diverted',
};

const empty = {
  board: 'No departures', boarding: 'None boarding', delayed: 'No delays', air: 'None in the air',
  landed: 'None landed yet', diverted: 'None diverted', cancelled: 'None cancelled',
};

export class Board {
  #list;
  #pager;
  #choose;
  #rows = [];
  #page = 0;
  #pages = 1;

  /** @param choose called with the id of the flight whose row was clicked */
  constructor(list, pager, choose) {
    this.#list = list;
    this.#pager = pager;
    this.#choose = choose;
    pager.previous.addEventListener('click', () => this.changePage(-1));
    pager.next.addEventListener('click', () => this.changePage(1));
    list.addEventListener('keydown', (event) => this.#key(event));
  }

  /** Called when the user changes the page, so that the rows are redrawn. */
  onpage = () => {};

  /** The current page, counted from 0. */
  get page() {
    return this.#page;
  }

  /** Sets the number of rows. */
  resize(count) {
    if (count === this.#rows.length) return;
    this.#rows = Array.from({ length: count }, () => new Row((flight) => this.#choose(flight)));
    this.#list.replaceChildren(...this.#rows.map((row) => row.element));
  }

  changePage(by) {
    this.#page = Math.min(Math.max(0, this.#page + by), this.#pages - 1);
    this.onpage();
  }

  toFirstPage() {
    this.#page = 0;
  }

  /** Shows these flights. */
  show(flights, view) {
    const size = this.#rows.length;
    this.#pages = Math.max(1, Math.ceil(flights.length / size));
    this.#page = Math.min(this.#page, this.#pages - 1);
    const focused = this.#rows.find((row) => row.element.contains(document.activeElement))?.flight;
    const shown = flights.slice(this.#page * size, (this.#page + 1) * size);
    this.#rows.forEach((row, index) => row.show(shown[index]));
    if (flights.length === 0) this.#rows[0]?.showText(empty[view]);
    this.#restoreFocus(focused);
    this.#pager.text.textContent = `${this.#page + 1} / ${this.#pages}`;
    this.#pager.previous.disabled = this.#page === 0;
    this.#pager.next.disabled = this.#page === this.#pages - 1;
  }

  // Flights move between rows; the focus stays on the flight.
  #restoreFocus(flight) {
    if (flight) this.#rows.find((row) => row.flight === flight)?.focus();
  }

  #key(event) {
    const index = this.#rows.findIndex((row) => row.element.contains(event.target));
    const go = {
      ArrowDown: () => this.#rows[index + 1]?.focus(),
      ArrowUp: () => this.#rows[index - 1]?.focus(),
      PageDown: () => this.changePage(1),
      PageUp: () => this.changePage(-1),
      Home: () => this.#rows[0]?.focus(),
    }[event.key];
    if (!go) return;
    event.preventDefault();
    go();
  }
}

class Row {
  element = document.createElement('li');
  flight = null;

  #button = document.createElement('button');
  #cells = {
    time: new Flaps(5, 'time'),
    flight: new Flaps(6, 'flight'),
    city: new Flaps(15, 'city'),
    from: new Flaps(3, 'from'),
    gate: new Flaps(4, 'gate'),
    expected: new Flaps(5, 'expected'),
    status: new Flaps(9, 'status'),
  };

  constructor(choose) {
    this.#button.type = 'button';
    this.#button.className = 'row';
    const lamp = document.createElement('span');
    lamp.className = 'lamp';
    lamp.setAttribute('aria-hidden', 'true');
    this.#button.append(...Object.values(this.#cells).map((cell) => cell.element), lamp);
    this.#button.addEventListener('click', () => this.flight && choose(this.flight));
    this.element.append(this.#button);
    this.show(undefined);
  }

  focus() {
    this.#button.focus({ preventScroll: true });
  }

  show(flight) {
    this.flight = flight?.id ?? null;
    this.#button.disabled = !flight;
    this.#button.dataset.status = flight?.status ?? '';
    this.#cells.time.show(flight ? short(flight.scheduled) : '');
    this.#cells.flight.show(flight?.id.slice(0, 6) ?? '');
    this.#cells.city.show(flight?.city ?? '');
    this.#cells.from.show(flight?.from ?? '');
    this.#cells.gate.show(flight?.gate ?? '');
    this.#cells.expected.show(expected(flight));
    this.#cells.status.show(flight ? words[flight.status] : '');
    this.element.ariaHidden = flight ? null : 'true';
    this.#button.ariaLabel = flight ? label(flight) : null;
  }

  showText(text) {
    this.#cells.city.show(text);
  }
}

// The second time on the board: the landing, or the departure if it is not the scheduled one.
function expected(flight) {
  if (!flight || flight.status === 'cancelled') return '';
  if (flight.landed) return short(flight.landed);
  return flight.departs === flight.scheduled && flight.status !== 'departed' ? '' : short(flight.departs);
}

function label(flight) {
  const later = expected(flight);
  return `${flight.id} from ${flight.from} to ${flight.city}, ${short(flight.scheduled)}, ` +
    `${words[flight.status]}${later ? ` ${later}` : ''}${flight.gate ? `, gate ${flight.gate}` : ''}`;
}
