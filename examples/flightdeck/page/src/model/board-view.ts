import type { Cursor } from "downlink";

import type { Choice } from "./choice";
import type { Clock } from "./clock";
import type { BoardRow } from "./commands";
import { inView, VIEW_NAMES, VIEWS } from "./flights";
import { createPaced } from "./paced";

/** At high speed the board changes less often, so that it can be read. */
const pauseAt = (speed: number): number => (speed > 240 ? 1800 : speed > 20 ? 900 : 0);

interface Options {
  board: { readonly rows: readonly BoardRow[]; readonly cursor: Cursor | undefined };
  choice: Choice;
  clock: Clock;
}

/** The flights of the chosen view, and how many there are in each. */
export function createBoardView({ board, choice, clock }: Options) {
  const unconfirmed = () => board.rows.filter((row) => row.unconfirmed).map(({ id }) => id).join();
  const view = () => {
    const minute = clock.minute();
    return {
      view: choice.view,
      cursor: board.cursor,
      flights: inView(choice.view, board.rows, minute) as BoardRow[],
      counts: VIEW_NAMES.map((name) => ({ name, count: board.rows.filter((flight) => VIEWS[name].has(flight, minute)).length })),
    };
  };
  const pause = () => (clock.runs() ? pauseAt(clock.replay.speed) : 0);
  return createPaced(view, pause, () => `${choice.view} ${unconfirmed()}`);
}
