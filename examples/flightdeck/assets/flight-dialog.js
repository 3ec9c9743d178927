// The dialog with the details of a flight and its three commands.

import { short } from './flights.js';
import { summary } from './log.js';
import { post } from './post.js';
import { isReadable } from './readable.js';

const element = (id) => document.getElementById(id);

// The request of each button, and the message after it succeeded.
const actions = {
  delay: (reason) => [{ minutes: Number(element('minutes').value), reason }, 'delayed'],
  gate: () => [{ gate: element('gate').value.trim().toUpperCase() }, 'moved to another gate'],
  cancel: (reason) => [{ reason }, 'cancelled'],
};

export class FlightDialog {
  #flight = null;
  #dialog = element('dialog');
  #done;

  /** @param done called with a message and the cursor in the server's response */
  constructor(done) {
    this.#done = done;
    element('dialog-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(event.submitter.value);
    });
    this.#dialog.addEventListener('close', () => (this.#flight = null));
  }

  open(flight) {
    this.#flight = flight;
    this.#loadHistory(flight);
    element('dialog-answer').textContent = '';
    element('reason').value = '';
    element('gate').value = flight.gate ?? '';
    this.draw();
    this.#dialog.showModal();
  }

  /** Updates the dialog with the flight's current state. */
  draw() {
    const flight = this.#flight;
    if (!flight) return;
    const stream = `api/streams/flight-${flight.id}`;
    element('dialog-title').textContent = `${flight.id} to ${flight.city}`;
    element('dialog-facts').textContent =
      `From ${flight.from}${flight.gate ? `, gate ${flight.gate},` : ''} at ${short(flight.scheduled)}, to ${flight.to} by ${short(flight.arrives)} ` +
      `New York time${flight.aircraft ? `, aircraft ${flight.aircraft}` : ''}.`;
    element('dialog-history').replaceChildren(...flight.history.map(entry));
    element('dialog-form').hidden = !['scheduled', 'boarding', 'delayed'].includes(flight.status);
    element('dialog-stream').textContent = stream;
    element('dialog-stream').href = stream;
  }

  // Events from before the page was loaded are in the flight's stream.
  async #loadHistory(flight) {
    const first = flight.history[0]?.version ?? flight.version + 1;
    if (first === 1) return;
    const page = await fetch(`api/streams/flight-${flight.id}?limit=1000`).then((answer) => answer.json()).catch(() => null);
    const known = flight.history[0]?.version ?? flight.version + 1;
    flight.history.unshift(...(page?.events ?? []).filter((event) => event.version < known && isReadable(event)));
    this.draw();
  }

  async #submit(action) {
    const flight = this.#flight;
    const [body, done] = actions[action](element('reason').value);
    const { cursor, refusal } = await post(`api/flights/${flight.id}/${action}`, body);
    if (refusal !== undefined) {
      element('dialog-answer').textContent = `${flight.id}: ${refusal}`;
      return;
    }
    if (this.#flight === flight) this.#dialog.close();
    this.#done(`${flight.id} ${done}`, cursor);
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
