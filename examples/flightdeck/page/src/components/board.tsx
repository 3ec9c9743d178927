import { createEffect, createMemo, createSignal, Index, on, onCleanup, onMount } from "solid-js";

import { useDeck } from "../deck";
import { VIEWS } from "../model/flights";
import { BoardRow } from "./board-row";
import { Views } from "./views";

/** The height below the rows, for the views and the pager. */
const BELOW = 90;

/** A page of flights on lines that stay where they are, while the flights move between them. */
export function Board(props: { onChoose: (id: string) => void }) {
  const deck = useDeck();
  const [size, setSize] = createSignal(8);
  const [wanted, setPage] = createSignal(0);
  const buttons: HTMLButtonElement[] = [];
  let list!: HTMLOListElement;
  let focused: string | undefined;

  const pages = () => Math.max(1, Math.ceil(deck.shown().flights.length / size()));
  const page = () => Math.min(wanted(), pages() - 1);
  const turn = (by: number) => setPage(Math.max(0, page() + by));
  const lines = createMemo(() => {
    const first = page() * size();
    return Array.from({ length: size() }, (_, line) => deck.shown().flights[first + line]);
  });
  createEffect(on([() => deck.choice.airport, () => deck.choice.airline, () => deck.choice.view], () => setPage(0), { defer: true }));

  // As many lines as the window has room for.
  function fit() {
    const isPhone = window.matchMedia("(max-width: 40rem)").matches;
    const height = buttons[0]?.offsetHeight || 36;
    const room = window.innerHeight - list.getBoundingClientRect().top - window.scrollY - BELOW;
    setSize(isPhone ? 8 : Math.min(18, Math.max(8, Math.floor(room / height))));
  }
  onMount(() => {
    fit();
    window.addEventListener("resize", fit);
    onCleanup(() => window.removeEventListener("resize", fit));
  });
  createEffect(on(deck.banner, fit, { defer: true }));

  const focus = (line: number) => buttons[line]?.focus({ preventScroll: true });
  // The focus stays on the flight.
  createEffect(() => {
    const line = lines().findIndex((flight) => flight && flight.id === focused);
    if (line >= 0 && list.contains(document.activeElement)) focus(line);
  });

  function onKey(event: KeyboardEvent) {
    const line = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const go = { ArrowDown: () => focus(line + 1), ArrowUp: () => focus(line - 1), PageDown: () => turn(1), PageUp: () => turn(-1), Home: () => focus(0) }[event.key];
    if (!go) return;
    event.preventDefault();
    go();
  }

  return (
    <>
      <div class="board">
        <div class="titles" aria-hidden="true">
          <span class="time">Time</span><span class="flight">Flight</span><span class="city">Destination</span>
          <span class="from">From</span><span class="gate">Gate</span><span class="expected">Now</span><span class="status">Status</span>
        </div>
        <ol
          class="rows"
          id="rows"
          aria-label="Flights"
          tabindex="-1"
          ref={list}
          onKeyDown={onKey}
          onFocusIn={() => (focused = lines()[buttons.indexOf(document.activeElement as HTMLButtonElement)]?.id)}
        >
          <Index each={lines()}>
            {(flight, line) => (
              <BoardRow
                flight={flight()}
                text={line === 0 && deck.board.ready ? VIEWS[deck.shown().view].empty : ""}
                ref={(button) => (buttons[line] = button)}
                onChoose={props.onChoose}
              />
            )}
          </Index>
        </ol>
      </div>
      <div class="under">
        <Views />
        <div class="pager" role="group" aria-label="Pages of the board">
          <button type="button" aria-label="Previous page" disabled={page() === 0} onClick={() => turn(-1)}>‹</button>
          <span>{page() + 1} / {pages()}</span>
          <button type="button" aria-label="Next page" disabled={page() === pages() - 1} onClick={() => turn(1)}>›</button>
        </div>
      </div>
    </>
  );
}
