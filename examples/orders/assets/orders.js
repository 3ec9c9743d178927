import { get, send } from './api.js';

/** @import { Cart, OrderEvent } from '../page/types.gen.ts' */
/** @import { Api, Events, Status } from './downlink.js' */

/** @returns {any} */
const $ = (id) => document.getElementById(id);

export const price = (cents) => `€ ${(cents / 100).toFixed(2)}`;

/** The user's own orders: loaded once, and then made from the events. */
export class OwnOrders {
  /**
   * @param {Api} api
   * @param on called with the state, and if what the user may see has changed: `{ state, lost }`
   */
  constructor(user, api, on) {
    this.user = user;
    this.api = api;
    this.on = on;
    this.orders = new Map();
    this.events = 0;
    $('order-form').onsubmit = (event) => this.#place(event);
  }

  // ANCHOR: follow
  async start() {
    const { ok, body, cursor } = await get('/orders');
    if (this.stopped) return;
    if (!ok) return this.on.lost();
    this.orders = new Map(body.orders.toReversed().map((order) => [order.id, order]));
    this.#render();
    this.feed = this.api.feed({
      filter: { tag: `customer:${this.user}` },
      after: cursor,
      onEvents: (events) => events.forEach((event) => this.#apply(/** @type {any} */ (event))),
      onStatus: (status) => this.#show(status),
      onReset: this.on.lost,
    });
  }
  // ANCHOR_END: follow

  stop() {
    this.stopped = true;
    this.feed?.close();
  }

  /** @param {Status} status */
  #show({ state, reason, ended }) {
    if (this.stopped) return;
    this.on.state(state);
    // The server ends a stream when the rights of its user change.
    if (ended || reason === 'rights') this.on.lost();
  }

  /** @param {Events<OrderEvent>} event */
  #apply({ stream, type, data }) {
    const id = stream.replace(/^order-/, '');
    this.events += 1;
    if (type === 'OrderPlaced') this.orders.set(id, { ...data, id, status: 'Open' });
    const order = this.orders.get(id);
    if (order && type === 'OrderDelivered') order.status = 'Delivered';
    if (order && type === 'OrderCancelled') order.status = 'Cancelled';
    this.#render();
  }

  #render() {
    const cards = [...this.orders.values()].reverse().map((order) => card(order, this.#button(order)));
    $('orders').replaceChildren(...cards);
    $('no-orders').hidden = cards.length > 0;
  }

  #button({ id, status }) {
    if (status !== 'Open') return null;
    return button('Cancel', async () => this.#refuse(await send(this.api, `/orders/${id}/cancel`, {})));
  }

  async #place(event) {
    event.preventDefault();
    /** @type {Cart} */
    const cart = { item: $('item').value, quantity: Number($('quantity').value), gate: $('gate').value.toUpperCase() };
    this.#refuse(await send(this.api, '/orders', cart));
  }

  /** @param {{ refused?: string, status: number }} answer */
  #refuse({ refused, status }) {
    if (status === 401) return this.on.lost();
    $('order-refusal').textContent = refused ?? '';
  }
}

/** An order, with a button. */
export function card({ cart: { item, quantity, gate }, cents, status, customer }, action, showCustomer = false) {
  const line = element('li', 'card');
  line.dataset.status = status;
  const what = element('div', 'what', `${quantity} × ${item}`);
  what.append(element('small', '', `${showCustomer ? `${customer} · ` : ''}${price(cents)} · ${status.toLowerCase()}`));
  line.append(element('span', 'gate', gate), what);
  if (action) line.append(action);
  return line;
}

export function button(label, act) {
  const made = element('button', '', label);
  made.type = 'button';
  made.onclick = async () => {
    made.disabled = true;
    await act();
    made.disabled = false;
  };
  return made;
}

export function element(name, className, text = '') {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
