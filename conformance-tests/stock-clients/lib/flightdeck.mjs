// FlightDeck's page, open in a browser.

import { expect, until } from './scenario.mjs';

export class Flightdeck {
  #page;

  /** Opens the page at a URL with these parameters. */
  static async visit(context, origin, parameters = '') {
    const deck = new Flightdeck();
    deck.#page = await context.newPage();
    await deck.#page.goto(`${origin}/?${parameters}`);
    await deck.#page.waitForFunction(() => window.flightdeck);
    return deck;
  }

  get page() {
    return this.#page;
  }

  /** The state of the page. */
  read() {
    return this.#page.evaluate(() => ({ ...window.flightdeck, detail: document.getElementById('detail').textContent }));
  }

  /** Waits until the condition holds, and returns the state of the page. */
  until(what, condition) {
    return until(`the page ${what}`, async () => {
      const known = await this.read();
      return condition(known) && known;
    });
  }

  /** Waits until the page is live and has received this many more events. */
  async advance(count) {
    const { received } = await this.read();
    return this.until(`has ${count} more events`, (known) => known.state === 'live' && known.received >= received + count);
  }

  /** Waits until the board, which is redrawn at intervals, shows this view of all received events. After that, rows move only if the log grows. */
  shows(view) {
    return this.until(`shows the newest of '${view}'`, ({ shown, cursor }) => shown.view === view && shown.cursor === cursor);
  }

  /**
   * Waits until the page has the whole log, to which nothing may be appended meanwhile, and checks
   * that it has received every event since it was loaded and that its board equals the server's.
   */
  async check(program) {
    const head = await program.head();
    const { ids, since, flights, gaps, repeats } = await this.until('is at the head', (known) => known.state === 'live' && known.cursor === head);
    const log = await program.ids(since);
    expect('gaps and repeats that the page found', { gaps, repeats }, { gaps: 0, repeats: 0 });
    expect('ids on the page and in the log since it was loaded', ids.slice(ids.length - log.length), log);
    expect('flights on the page and of the server', sorted(flights), sorted(await this.#board(program, head)));
    return ids.length - log.length;
  }

  /** The board of the server, once it has processed the whole log. */
  #board(program, head) {
    return until('the board of the server is at the head', async () => {
      const answer = await fetch(`${program.origin}/api/board`);
      return answer.headers.get('feed-cursor') === head && (await answer.json()).rows;
    });
  }
}

// The values that a board shows of each flight, sorted.
const sorted = (flights) => flights
  .map(({ id, version, status, gate, scheduled, departs, landed, changed }) => JSON.stringify([id, version, status, gate, scheduled, departs, landed, changed]))
  .sort();

/** Stops the clock of the replay, so that nothing more is appended. */
export async function pauseReplay(program) {
  const answer = await fetch(`${program.origin}/api/replay`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"paused":true}',
  });
  expect('the answer to a pause', answer.status, 200);
}
