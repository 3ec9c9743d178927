// The server's own answers of the live query `board`, one for each cursor, from pages of JSON.

import { LiveRows } from './live-rows.mjs';

export class BoardAnswers {
  #byCursor = new Map();
  #done = false;
  #following;

  constructor(program) {
    this.#following = this.#follow(program);
  }

  /** The rows as of this cursor, as text; undefined if the server was not asked there. */
  at(cursor) {
    return this.#byCursor.get(cursor);
  }

  async end() {
    this.#done = true;
    await this.#following;
  }

  async #follow({ origin }) {
    const live = new LiveRows();
    while (!this.#done) {
      const where = live.token ? `?after=${live.token}&wait=1` : '';
      const answer = await fetch(`${origin}/api/live/board${where}`).then((response) => response.ok && response.json(), () => false);
      if (!answer) continue;
      live.apply(answer);
      this.#byCursor.set(answer.cursor, JSON.stringify(live.rows));
    }
  }
}
