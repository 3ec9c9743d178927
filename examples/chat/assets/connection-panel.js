// The panel with the state of the page's connection.

const names = {
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  reconnecting: 'Waiting to reconnect',
  reset: 'Loading again',
  disconnected: 'Disconnected by you',
  closed: 'Closed',
};

/** @returns {any} */
const element = (id) => document.getElementById(id);

export class ConnectionPanel {
  current = 'connecting';
  #detail = '';
  #until = 0;
  #before = null;

  /** Shows a state of the connection; `until` is the time of the next attempt. */
  state(name, detail, until, { received, gaps, repeats }) {
    this.current = name;
    const chip = element('state');
    chip.dataset.state = name;
    chip.textContent = names[name];
    this.#detail = detail;
    this.#until = until;
    if (['reconnecting', 'disconnected', 'closed'].includes(name)) this.#before ??= { since: performance.now(), received, gaps, repeats };
    if (name === 'live' && this.#before) {
      const seconds = ((performance.now() - this.#before.since) / 1_000).toFixed(1);
      const caughtUp = received - this.#before.received;
      element('resumed').textContent = `Resumed after ${seconds} s: ${caughtUp} events received, ` +
        `${gaps - this.#before.gaps} missed, ${repeats - this.#before.repeats} repeated.`;
      this.#before = null;
    }
  }

  draw({ feeds, sent, acknowledged }, room, cursor) {
    element('subscriptions').textContent = feeds;
    element('received').textContent = room.received.toLocaleString('en');
    element('sent').textContent = sent.toLocaleString('en');
    element('acknowledged').textContent = acknowledged.toLocaleString('en');
    element('checked').textContent = `gaps ${room.gaps} · repeats ${room.repeats}`;
    element('checked').classList.toggle('broken', room.gaps + room.repeats > 0);
    element('cursor').textContent = cursor || '–';
    const seconds = Math.ceil((this.#until - performance.now()) / 1_000);
    element('detail').textContent = seconds > 0 ? `${this.#detail} Reconnecting in ${seconds} s.` : this.#detail;
  }
}
