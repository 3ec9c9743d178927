import { connect, type Status } from "downlink";
import { createLive } from "downlink/solid";
import { createContext, createEffect, createMemo, createSignal, on, useContext } from "solid-js";

import { createBoardView } from "./model/board-view";
import { createChoice, selected, tags, TRANSPORTS } from "./model/choice";
import { createClock } from "./model/clock";
import { type BoardRow, createCommands, refusal } from "./model/commands";
import { createEvents } from "./model/events";
import { expose } from "./model/expose";
import { createNetwork } from "./model/network";
import type { ReplayControl } from "./types.gen";

const CUT = 3000;

/** What the components share: the board, the events and what the user has chosen. */
export function createDeck() {
  const [choice, setChoice] = createChoice();
  const [banner, setBanner] = createSignal("");
  const [message, say] = createSignal("", { equals: false });
  const network = createNetwork();
  const clock = createClock();

  // ANCHOR: follow
  const api = createMemo(() =>
    connect("api", {
      transports: TRANSPORTS.slice(TRANSPORTS.indexOf(choice.transport)),
      fetch: network.fetch,
      WebSocket: network.WebSocket,
    }),
  );
  const parameters = createMemo(() => selected(choice));
  const filter = createMemo(() => tags(choice));
  const board = createLive<BoardRow>(api, "board", parameters);
  // ANCHOR_END: follow
  const events = createEvents({
    api,
    filter,
    board,
    clock,
    onReset: ({ reason }) => setBanner(`The log was replaced (${reason}). The board was reloaded.`),
  });

  /** Of the events and the board, the one that is not live. */
  const status = (): Status => (events.status.state === "live" ? board.status : events.status);
  const isLive = createMemo(() => events.status.state === "live");
  createEffect(
    on(isLive, (live) => {
      clock.setLive(live);
      // If it fails, the events alone are sufficient.
      if (live) clock.load(() => network.fetch("api/replay").then((answer) => answer.json())).catch(() => {});
    }),
  );

  const deck = {
    api,
    choice,
    setChoice,
    filter,
    parameters,
    board,
    shown: createBoardView({ board, choice, clock }),
    events,
    clock,
    status,
    isCut: network.isCut,
    disconnect: () => network.cut(CUT),
    commands: createCommands({ api, board, clock, events, say }),
    control: (change: ReplayControl) =>
      api().post("/replay", change).then(() => {}, (error) => void say(refusal(error))),
    banner,
    setBanner,
    message,
    say,
  };
  expose(deck);
  return deck;
}

export type Deck = ReturnType<typeof createDeck>;

export const DeckContext = createContext<Deck>();

export function useDeck(): Deck {
  const deck = useContext(DeckContext);
  if (!deck) throw new Error("a component is outside of DeckContext");
  return deck;
}
