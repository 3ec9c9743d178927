// The panel that tells how this page hangs on the server.

const names = {
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  behind: 'Behind',
  waiting: 'Waiting to reconnect',
  dropped: 'Cut off by you',
  closed: 'Closed',
};

const element = (id) => document.getElementById(id);

export class Link {
  #ledger;
  #head = '';
  #until = 0;
  #why = '';
  #away = null;

  constructor(ledger) {
    this.#ledger = ledger;
  }

  /** Shows a state of the feed; `until` is when it will try again. */
  state(name, detail, until) {
    const chip = element('state');
    chip.dataset.state = name;
    chip.textContent = names[name];
    this.#why = detail;
    this.#until = until;
    if (['waiting', 'dropped', 'closed'].includes(name)) this.#left();
    if (name === 'live') this.#back();
    this.draw();
  }

  /** The page begins again: what it had is no measure of what comes now. */
  restart() {
    this.#away = null;
    this.#head = '';
    element('back').textContent = '';
  }

  /** So many flights were loaded; events come on top of them. */
  loaded(flights) {
    element('loaded').textContent = `${flights.toLocaleString('en')} flights`;
  }

  /** The end of the log, as far as the server has told. */
  head(head) {
    if (head) this.#head = head;
  }

  draw(cursor) {
    const { received, gaps, repeats } = this.#ledger;
    element('received').textContent = received.toLocaleString('en');
    element('checked').textContent = `gaps ${gaps} · repeats ${repeats}`;
    element('checked').classList.toggle('broken', gaps + repeats > 0);
    if (cursor !== undefined) {
      // Cursors sort as text; who has heard of a later event knows of a later end.
      const head = cursor > this.#head ? cursor : this.#head;
      element('cursor').textContent = cursor || '–';
      element('head').textContent = head || '–';
    }
    const seconds = Math.ceil((this.#until - performance.now()) / 1_000);
    element('detail').textContent = seconds > 0 ? `${this.#why} Back in ${seconds} s.` : this.#why;
  }

  #left() {
    this.#away ??= { since: performance.now(), ...this.#counts() };
  }

  #back() {
    if (!this.#away) return;
    const { since, received, gaps, repeats } = this.#away;
    const now = this.#counts();
    this.#away = null;
    const seconds = ((performance.now() - since) / 1_000).toFixed(1);
    element('back').textContent = `Away for ${seconds} s, then ${now.received - received} events caught up: ` +
      `${now.gaps - gaps} missed, ${now.repeats - repeats} twice.`;
  }

  #counts() {
    const { received, gaps, repeats } = this.#ledger;
    return { received, gaps, repeats };
  }
}
