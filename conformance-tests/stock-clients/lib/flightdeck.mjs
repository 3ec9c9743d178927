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

  /** The state of the page, without the rows of its board. */
  read() {
    return this.#page.evaluate(() => {
      const { board, ...known } = window.flightdeck;
      return { ...known, boardCursor: board.cursor, detail: document.getElementById('detail').textContent };
    });
  }

  /** The rows of the page's board, and as of which cursor. */
  board() {
    return this.#page.evaluate(() => window.flightdeck.board);
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
    return this.until(`shows the newest of '${view}'`, ({ shown, cursor }) => shown.view === view && shown.cursor >= cursor);
  }

  /**
   * Waits until the page has the whole log, to which nothing may be appended meanwhile, and checks
   * that it has received every event once since its first one, and that its board is the server's.
   */
  async check(program) {
    const head = await program.head();
    const atHead = ({ state, cursor, boardCursor }) => state === 'live' && cursor === head && boardCursor === head;
    const { ids, since, gaps, repeats } = await this.until('is at the head', atHead);
    expect('gaps and repeats that the page found', { gaps, repeats }, { gaps: 0, repeats: 0 });
    expect('ids on the page and in the log since its first event', ids, await program.ids(since));
    expect('the board of the page and of the server', await this.board(), await this.#answer(program, head));
  }

  /** The board of the server, once it has processed the whole log. */
  #answer(program, head) {
    return until('the board of the server is at the head', async () => {
      const { cursor, rows } = await (await fetch(`${program.origin}/api/live/board`)).json();
      return cursor === head && { cursor, rows };
    });
  }
}

/** Stops the clock of the replay, so that nothing more is appended. */
export const pauseReplay = (program) => control(program, true);

/** Goes on with the replay. */
export const resumeReplay = (program) => control(program, false);

async function control(program, paused) {
  const answer = await fetch(`${program.origin}/api/replay`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ paused }),
  });
  expect('the answer to a command to the replay', answer.status, 200);
}
