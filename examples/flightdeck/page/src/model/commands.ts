import { type Answer, type Api, DownlinkError } from "downlink";
import type { Rows } from "downlink/solid";

import type { Clock } from "./clock";
import type { DeckEvents } from "./events";
import { minutes, timeAt } from "./time";
import type { FlightRow } from "../types.gen";

/** A row that shows the effect of a command before the server has confirmed it. */
export interface BoardRow extends FlightRow {
  unconfirmed?: true;
}

interface Options {
  api: () => Api;
  board: Rows<BoardRow>;
  clock: Clock;
  events: DeckEvents;
  /** Tells the user something. */
  say: (text: string) => void;
}

/** Why a command was refused, or may not have reached the server. */
export const refusal = (error: unknown): string => (error instanceof DownlinkError && error.problem?.detail) || String((error as Error).message);

/** What a visitor can do to a flight. Each shows its effect at once; a refusal undoes it and is thrown. */
export function createCommands({ api, board, clock, events, say }: Options) {
  // ANCHOR: send
  async function send(flight: BoardRow, change: Partial<BoardRow>, path: string, body: object, done: string): Promise<void> {
    const { id } = flight;
    const { cursor } = await board.mutate({ id, ...change, unconfirmed: true }, () => api().post(`/flights/${id}/${path}`, body));
    void tell(`${id} ${done}`, cursor);
  }
  // ANCHOR_END: send

  async function tell(what: string, cursor: Answer<unknown>["cursor"]): Promise<void> {
    if (!cursor) return say(`${what}.`);
    if (cursor <= events.cursor()) return say(`${what}. The event arrived before the response.`);
    const since = performance.now();
    say(`${what}; the cursor is ${cursor}.`);
    await events.arrived(cursor);
    say(`${what}. The event arrived ${Math.round(performance.now() - since)} ms after the response.`);
  }

  return {
    delay(flight: BoardRow, by: number, reason: string) {
      // If the announced departure has passed, the delay counts from now.
      const departs = timeAt(Math.max(minutes(flight.departs), clock.minute()) + by);
      return send(flight, { status: "delayed", departs }, "delay", { minutes: by, reason }, "delayed");
    },
    changeGate: (flight: BoardRow, gate: string) => send(flight, { gate }, "gate", { gate }, "moved to another gate"),
    cancel: (flight: BoardRow, reason: string) => send(flight, { status: "cancelled" }, "cancel", { reason }, "cancelled"),
  };
}
