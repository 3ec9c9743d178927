// A flight in detail, and the two things that a visitor can do to it.

import { short } from './flights.js';
import { summary } from './log.js';
import { post } from './post.js';

const element = (id) => document.getElementById(id);

export class Desk {
  #flight = null;
  #dialog = element('desk');
  #done;

  /** @param done called with what was done and the cursor that the server answered */
  constructor(done) {
    this.#done = done;
    element('desk-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(event.submitter.value);
    });
    this.#dialog.addEventListener('close', () => (this.#flight = null));
  }

  open(flight) {
    this.#flight = flight;
    element('desk-answer').textContent = '';
    element('reason').value = '';
    this.draw();
    this.#dialog.showModal();
  }

  /** Shows the flight as it is now: it goes on while somebody looks at it. */
  draw() {
    const flight = this.#flight;
    if (!flight) return;
    const stream = `api/streams/flight-${flight.id}`;
    element('desk-title').textContent = `${flight.id} to ${flight.city}`;
    element('desk-facts').textContent =
      `From ${flight.from} at ${short(flight.scheduled)}, to ${flight.to} by ${short(flight.arrives)} ` +
      `New York time${flight.aircraft ? `, aircraft ${flight.aircraft}` : ''}.`;
    element('desk-history').replaceChildren(...flight.history.map(entry));
    element('desk-form').hidden = !['scheduled', 'boarding', 'delayed'].includes(flight.status);
    element('desk-stream').textContent = stream;
    element('desk-stream').href = stream;
  }

  async #submit(action) {
    const flight = this.#flight;
    const reason = element('reason').value;
    const body = action === 'delay' ? { minutes: Number(element('minutes').value), reason } : { reason };
    const { cursor, refusal } = await post(`api/flights/${flight.id}/${action}`, body);
    if (refusal !== undefined) {
      element('desk-answer').textContent = `${flight.id}: ${refusal}`;
      return;
    }
    if (this.#flight === flight) this.#dialog.close();
    this.#done(`${flight.id} ${action === 'delay' ? 'delayed' : 'cancelled'}`, cursor);
  }
}

function entry({ version, type, data }) {
  const item = document.createElement('li');
  for (const text of [version, short(data.at), summary({ type, data })]) {
    const part = document.createElement('span');
    part.textContent = text;
    item.append(part);
  }
  return item;
}
