// The panel that tells how this page hangs on the server.

const names = {
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  waiting: 'Waiting to reconnect',
  dropped: 'Cut off by you',
  closed: 'Closed',
};

const element = (id) => document.getElementById(id);

export class Link {
  #why = '';
  #until = 0;
  #away = null;

  /** Shows a state of the socket; `until` is when it will try again. */
  state(name, detail, until, { received, gaps, repeats }) {
    const chip = element('state');
    chip.dataset.state = name;
    chip.textContent = names[name];
    this.#why = detail;
    this.#until = until;
    if (['waiting', 'dropped', 'closed'].includes(name)) this.#away ??= { since: performance.now(), received, gaps, repeats };
    if (name === 'live' && this.#away) {
      const seconds = ((performance.now() - this.#away.since) / 1_000).toFixed(1);
      const caughtUp = received - this.#away.received;
      element('back').textContent = `Away for ${seconds} s, then ${caughtUp} events caught up: ` +
        `${gaps - this.#away.gaps} missed, ${repeats - this.#away.repeats} twice.`;
      this.#away = null;
    }
  }

  draw(socket, room, cursor) {
    element('subscriptions').textContent = socket.subscriptions;
    element('received').textContent = room.received.toLocaleString('en');
    element('sent').textContent = socket.sent.toLocaleString('en');
    element('acknowledged').textContent = socket.acknowledged.toLocaleString('en');
    element('checked').textContent = `gaps ${room.gaps} · repeats ${room.repeats}`;
    element('checked').classList.toggle('broken', room.gaps + room.repeats > 0);
    element('cursor').textContent = cursor || '–';
    const seconds = Math.ceil((this.#until - performance.now()) / 1_000);
    element('detail').textContent = seconds > 0 ? `${this.#why} Back in ${seconds} s.` : this.#why;
  }
}
