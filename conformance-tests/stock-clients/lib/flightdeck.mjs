// FlightDeck's page, open in a browser.

import { expect, until } from './scenario.mjs';

export class Flightdeck {
  #page;

  /** Opens it, at a URL with these choices. */
  static async visit(context, origin, choices = '') {
    const deck = new Flightdeck();
    deck.#page = await context.newPage();
    await deck.#page.goto(`${origin}/?${choices}`);
    await deck.#page.waitForFunction(() => window.flightdeck);
    return deck;
  }

  get page() {
    return this.#page;
  }

  /** What the page knows. */
  read() {
    return this.#page.evaluate(() => ({ ...window.flightdeck, detail: document.getElementById('detail').textContent }));
  }

  /** Waits until that is so, and gives what the page knows then. */
  until(what, condition) {
    return until(`the page ${what}`, async () => {
      const known = await this.read();
      return condition(known) && known;
    });
  }

  /** Waits until it is live and has received so many more events. */
  async advance(count) {
    const { received } = await this.read();
    return this.until(`has ${count} more events`, (known) => known.state === 'live' && known.received >= received + count);
  }

  /** Waits until its board, which rests between its changes, shows that view of all that has come: rows hold still then if the log does. */
  shows(view) {
    return this.until(`shows the newest of '${view}'`, ({ shown, cursor }) => shown.view === view && shown.cursor === cursor);
  }

  /**
   * Waits until it has the whole log, which must be at rest, and checks that it is exactly that: it
   * has received every event since it was loaded, and its board is the one that the server makes.
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

  /** What the server makes of the log, once it has all of it. */
  #board(program, head) {
    return until('the board of the server is at the head', async () => {
      const answer = await fetch(`${program.origin}/api/board`);
      return answer.headers.get('feed-cursor') === head && (await answer.json()).rows;
    });
  }
}

// What a board shows of each flight, sorted.
const sorted = (flights) => flights
  .map(({ id, version, status, gate, scheduled, departs, landed, changed }) => JSON.stringify([id, version, status, gate, scheduled, departs, landed, changed]))
  .sort();

/** Stops the clock of the replay, so that the log is at rest. */
export async function pauseReplay(program) {
  const answer = await fetch(`${program.origin}/api/replay`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"paused":true}',
  });
  expect('the answer to a pause', answer.status, 200);
}
