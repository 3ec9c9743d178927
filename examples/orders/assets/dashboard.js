import { get, post } from './api.js';
import { Feed } from './feed.js';
import { button, card, element, price } from './orders.js';

const $ = (id) => document.getElementById(id);

/** What administrators see: loaded again after events, at most five times a second. */
export class Dashboard {
  #loading = false;
  #again = false;

  constructor(user, on) {
    this.user = user;
    this.on = on;
    $('role-form').onsubmit = (event) => this.#grant(event);
  }

  async start() {
    const cursor = await this.#load();
    if (!cursor || this.stopped) return;
    this.feed = new Feed({}, cursor, { event: () => this.#changed(), state: () => {}, lost: this.on.lost });
  }

  stop() {
    this.stopped = true;
    this.feed?.close();
  }

  async #load(query = '') {
    const [dashboard, me] = await Promise.all([get('/dashboard'), get(`/me${query}`)]);
    if (this.stopped) return null;
    if (!dashboard.ok || !me.ok) {
      if (dashboard.status || me.status) this.on.lost();
      return null;
    }
    this.#render(dashboard.body, me.body.administrators ?? []);
    return dashboard.cursor;
  }

  async #changed() {
    this.#again = true;
    if (this.#loading) return;
    this.#loading = true;
    while (this.#again) {
      this.#again = false;
      await this.#load();
      await new Promise((done) => setTimeout(done, 200));
    }
    this.#loading = false;
  }

  #render({ items, open }, administrators) {
    $('items').replaceChildren(...items.map(row));
    const cards = open.map((order) => card(order, this.#deliver(order), true));
    $('open').replaceChildren(...cards);
    $('none-open').hidden = cards.length > 0;
    $('administrators').replaceChildren(...administrators.map((user) => this.#administrator(user)));
  }

  #deliver({ id }) {
    return button('Deliver', async () => this.#refuse(await post(`/orders/${id}/deliver`, {})));
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
    if (answer.ok) await this.#load(`?at_least=${answer.cursor}&wait=5`);
  }

  #refuse({ ok, status, body }) {
    if (status === 401 || status === 403) return this.on.lost();
    $('dashboard-refusal').textContent = ok ? '' : body.detail;
  }
}

function row({ item, open, delivered, cancelled, cents }) {
  const line = document.createElement('tr');
  const head = element('th', '', item);
  head.scope = 'row';
  line.append(head, ...[open, delivered, cancelled, price(cents)].map((cell) => element('td', '', cell)));
  return line;
}
