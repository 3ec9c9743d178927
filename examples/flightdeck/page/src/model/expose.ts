import { unwrap } from "solid-js/store";

import type { Deck } from "../deck";

/** Shows the state of the page to tests and to the browser's console. */
export function expose(deck: Deck): void {
  const flightdeck = {
    get state() {
      return deck.isCut() ? "disconnected" : deck.status().state;
    },
    get transport() {
      return deck.status().transport;
    },
    get cursor() {
      return deck.events.cursor();
    },
    get since() {
      return deck.events.recent().since;
    },
    get ids() {
      return deck.events.recent().ids;
    },
    get received() {
      return deck.events.counts().received;
    },
    get gaps() {
      return deck.events.counts().gaps;
    },
    get repeats() {
      return deck.events.counts().repeats;
    },
    get board() {
      return { cursor: deck.board.cursor, rows: unwrap(deck.board.rows) };
    },
    get shown() {
      const { view, cursor } = deck.shown();
      return { view, cursor };
    },
  };
  Object.assign(window, { flightdeck: Object.freeze(flightdeck) });
}
