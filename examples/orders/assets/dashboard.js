import { get, post } from './api.js';
import { LiveRows } from './feed.js';
import { button, card, element, price } from './orders.js';

const $ = (id) => document.getElementById(id);

/** What administrators see: two live queries, and who the administrators are. */
export class Dashboard {
  #queries = [];

  constructor(user, on) {
    this.user = user;
    this.on = on;
    $('role-form').onsubmit = (event) => this.#grant(event);
  }

  // ANCHOR: live
  async start() {
    const { lost } = this.on;
    this.#queries = [
      new LiveRows('items', { render: (rows) => $('items').replaceChildren(...rows.map(line)), lost }),
      new LiveRows('open-orders', { render: (rows) => this.#renderOpen(rows), lost }),
    ];
    await this.#loadAdministrators();
  }
  // ANCHOR_END: live

  stop() {
    this.stopped = true;
    for (const query of this.#queries) query.close();
  }

  #renderOpen(orders) {
    const cards = orders.map((order) => card(order, this.#deliver(order), true));
    $('open').replaceChildren(...cards);
    $('none-open').hidden = cards.length > 0;
  }

  #deliver({ id }) {
    return button('Deliver', async () => this.#refuse(await post(`/orders/${id}/deliver`, {})));
  }

  async #loadAdministrators(query = '') {
    const { ok, body } = await get(`/me${query}`);
    if (!ok || this.stopped) return;
    $('administrators').replaceChildren(...(body.administrators ?? []).map((user) => this.#administrator(user)));
  }

  #administrator(user) {
    const chip = element('li', '', user);
    const revoke = button('revoke', () => this.#setRole(user, false));
    revoke.setAttribute('aria-label', `Revoke ${user}'s role`);
    chip.append(revoke);
    return chip;
  }

  async #grant(event) {
    event.preventDefault();
    await this.#setRole($('role-user').value, true);
    $('role-form').reset();
  }

  // The list that is loaded next contains the change.
  async #setRole(user, administrator) {
    const answer = await post('/administrators', { user, administrator });
    this.#refuse(answer);
    if (answer.ok) await this.#loadAdministrators(`?at_least=${answer.cursor}&wait=5`);
  }

  #refuse({ ok, status, body }) {
    if (status === 401 || status === 403) return this.on.lost();
    $('dashboard-refusal').textContent = ok ? '' : body.detail;
  }
}

function line({ item, open, delivered, cancelled, cents }) {
  const made = document.createElement('tr');
  const head = element('th', '', item);
  head.scope = 'row';
  made.append(head, ...[open, delivered, cancelled, price(cents)].map((cell) => element('td', '', cell)));
  return made;
}
