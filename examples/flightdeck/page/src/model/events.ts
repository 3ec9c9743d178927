import type { Api, Cursor, Envelope, Filter, Reset, Status } from "downlink";
import { createFeed } from "downlink/solid";
import { type Accessor, batch, createEffect, createSignal, on } from "solid-js";

import type { Clock } from "./clock";
import { type DeckEvent, isReadable } from "./deck-event";
import { FeedCheck } from "./feed-check";
import type { FlightRow } from "../types.gen";

/** How many events the log shows when the page is opened, and at most. */
export const RECENT = "last:60";
const MAX_LINES = 120;

/** Adds an event to those of the log. */
export const append = (all: readonly DeckEvent[], event: Envelope): readonly DeckEvent[] =>
  isReadable(event) ? [...all, event].slice(-MAX_LINES) : all;

interface Options {
  api: Accessor<Api>;
  filter: Accessor<Filter>;
  board: { readonly ready: boolean; readonly rows: readonly FlightRow[]; readonly cursor: Cursor | undefined };
  clock: Clock;
  onReset: (reset: Reset) => void;
}

/** The page's feed: it checks every event, keeps the newest, and sets the clock. */
export function createEvents({ api, filter, board, clock, onReset }: Options) {
  const check = new FeedCheck();
  const [entries, setEntries] = createSignal<readonly DeckEvent[]>([]);
  const [counts, setCounts] = createSignal(check.counts);
  const [cursor, setCursor] = createSignal<Cursor>("");
  const waiting = new Set<{ cursor: Cursor; arrived: () => void }>();

  function restart(): void {
    check.restart();
    clock.restart();
    setEntries([]);
    setCursor("");
  }

  function take(events: readonly Envelope[], cursor: Cursor): void {
    for (const event of events) {
      check.take(event);
      if (isReadable(event)) clock.apply(event);
    }
    setEntries((all) => events.slice(-MAX_LINES).reduce(append, all));
    setCounts(check.counts);
    setCursor(cursor);
    for (const one of waiting) if (one.cursor <= cursor && waiting.delete(one)) one.arrived();
  }

  const feed = createFeed(api, {
    filter,
    after: RECENT,
    onEvents: (events, cursor) => batch(() => take(events, cursor)),
    onReset(reset) {
      restart();
      onReset(reset);
      return RECENT;
    },
  });

  createEffect(on(filter, restart, { defer: true }));
  createEffect(() => {
    const { ready, rows, cursor } = board;
    if (ready && cursor) check.startFrom(rows, cursor);
    setCounts(check.counts);
  });

  return {
    entries,
    counts,
    cursor,
    recent: () => check.recent,
    get status(): Status {
      return feed.status;
    },
    /** Waits until the event of this cursor was received. */
    arrived: (cursor: Cursor): Promise<void> => new Promise((arrived) => waiting.add({ cursor, arrived })),
  };
}

export type DeckEvents = ReturnType<typeof createEvents>;
