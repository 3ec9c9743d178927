import { createSignal, Show } from "solid-js";

import { useDeck } from "../deck";
import { Banner, Toast } from "./messages";
import { Board } from "./board";
import { ConnectionPanel } from "./connection-panel";
import { EventLog } from "./event-log";
import { FlightDialog } from "./flight-dialog";
import { Selection } from "./selection";
import { Sign } from "./sign";
import { Statistics } from "./statistics";

export function App() {
  const deck = useDeck();
  const [chosen, choose] = createSignal<string>();
  return (
    <>
      <a class="skip" href="#rows">Skip to the board</a>
      <Sign />
      <Banner />
      <main>
        <section class="hall" aria-label="Board">
          <Selection />
          <Board onChoose={choose} />
        </section>
        <aside>
          <ConnectionPanel />
          <Statistics />
          <EventLog />
        </aside>
      </main>
      <Show when={deck.board.rows.find(({ id }) => id === chosen())?.id} keyed>
        {(id) => <FlightDialog id={id} onClose={() => choose()} />}
      </Show>
      <Toast />
    </>
  );
}
