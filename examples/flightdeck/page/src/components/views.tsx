import { Index } from "solid-js";

import { useDeck } from "../deck";
import { VIEWS } from "../model/flights";

/** Buttons for the views of the board, with the number of flights in each. */
export function Views() {
  const deck = useDeck();
  return (
    <div class="views" id="views" role="group" aria-label="Flights">
      <Index each={deck.shown().counts}>
        {(view) => (
          <button type="button" aria-pressed={view().name === deck.choice.view} onClick={() => deck.setChoice("view", view().name)}>
            {VIEWS[view().name].name} <b>{view().count}</b>
          </button>
        )}
      </Index>
    </div>
  );
}
