// The panel with the state of the page's connection.

const names = {
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  behind: 'Behind',
  waiting: 'Waiting to reconnect',
  disconnected: 'Disconnected by you',
  closed: 'Closed',
};

const element = (id) => document.getElementById(id);

export class ConnectionPanel {
  #check;
  #head = '';
  #until = 0;
  #detail = '';
  #before = null;

  constructor(check) {
    this.#check = check;
  }

  /** Shows a state of the feed; `until` is the time of the next attempt. */
  state(name, detail, until) {
    const chip = element('state');
    chip.dataset.state = name;
    chip.textContent = names[name];
    this.#detail = detail;
    this.#until = until;
    if (['waiting', 'disconnected', 'closed'].includes(name)) this.#disconnected();
    if (name === 'live') this.#resumed();
    this.draw();
  }

  /** Clears the counts, for a page that starts again. */
  restart() {
    this.#before = null;
    this.#head = '';
    element('resumed').textContent = '';
  }

  /** Shows the number of loaded flights. */
  loaded(flights) {
    element('loaded').textContent = `${flights.toLocaleString('en')} flights`;
  }

  /** Sets the last known head of the log. */
  head(head) {
    if (head) this.#head = head;
  }

  draw(cursor) {
    const { received, gaps, repeats } = this.#check;
    element('received').textContent = received.toLocaleString('en');
    element('checked').textContent = `gaps ${gaps} · repeats ${repeats}`;
    element('checked').classList.toggle('broken', gaps + repeats > 0);
    if (cursor !== undefined) {
      // Cursors are ordered as text. The head is at least the page's cursor.
      const head = cursor > this.#head ? cursor : this.#head;
      element('cursor').textContent = cursor || '–';
      element('head').textContent = head || '–';
    }
    const seconds = Math.ceil((this.#until - performance.now()) / 1_000);
    element('detail').textContent = seconds > 0 ? `${this.#detail} Reconnecting in ${seconds} s.` : this.#detail;
  }

  #disconnected() {
    this.#before ??= { since: performance.now(), ...this.#counts() };
  }

  #resumed() {
    if (!this.#before) return;
    const { since, received, gaps, repeats } = this.#before;
    const now = this.#counts();
    this.#before = null;
    const seconds = ((performance.now() - since) / 1_000).toFixed(1);
    element('resumed').textContent = `Resumed after ${seconds} s: ${now.received - received} events received, ` +
      `${now.gaps - gaps} missed, ${now.repeats - repeats} repeated.`;
  }

  #counts() {
    const { received, gaps, repeats } = this.#check;
    return { received, gaps, repeats };
  }
}
