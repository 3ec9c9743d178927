import { get, send } from './api.js';
import { live } from './downlink.js';
import { button, card, element, price } from './orders.js';

/** @import { ItemRow, OrderRow } from '../page/types.gen.ts' */
/** @import { Api, Live } from './downlink.js' */

/** @returns {any} */
const $ = (id) => document.getElementById(id);

/** What administrators see: two live queries, and who the administrators are. */
export class Dashboard {
  #stops = [];

  /** @param {Api} api */
  constructor(api, on) {
    this.api = api;
    this.on = on;
    $('role-form').onsubmit = (event) => this.#grant(event);
  }

  // ANCHOR: live
  async start() {
    /** @type {Live<ItemRow>} */
    const items = live(this.api, 'items');
    /** @type {Live<OrderRow>} */
    const open = live(this.api, 'open-orders');
    this.#follow(items, (rows) => $('items').replaceChildren(...rows.map(line)));
    this.#follow(open, (rows) => this.#renderOpen(rows));
    await this.#loadAdministrators();
  }

  #follow(query, render) {
    const stop = query.subscribe(({ ready, rows, status }) => {
      if (this.stopped) return;
      if (status.ended || status.reason === 'rights') this.on.lost();
      else if (ready) render(rows);
    });
    this.#stops.push(stop);
  }
  // ANCHOR_END: live

  stop() {
    this.stopped = true;
    for (const stop of this.#stops) stop();
  }

  #renderOpen(orders) {
    const cards = orders.map((order) => card(order, this.#deliver(order), true));
    $('open').replaceChildren(...cards);
    $('none-open').hidden = cards.length > 0;
  }

  #deliver({ id }) {
    return button('Deliver', async () => this.#refuse(await send(this.api, `/orders/${id}/deliver`, {})));
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
    const answer = await send(this.api, '/administrators', { user, administrator });
    this.#refuse(answer);
    if (answer.cursor) await this.#loadAdministrators(`?at_least=${answer.cursor}&wait=5`);
  }

  /** @param {{ refused?: string, status: number }} answer */
  #refuse({ refused, status }) {
    if (status === 401 || status === 403) return this.on.lost();
    $('dashboard-refusal').textContent = refused ?? '';
  }
}

function line({ item, open, delivered, cancelled, cents }) {
  const made = document.createElement('tr');
  const head = element('th', '', item);
  head.scope = 'row';
  made.append(head, ...[open, delivered, cancelled, price(cents)].map((cell) => element('td', '', cell)));
  return made;
}
