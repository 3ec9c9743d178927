import { connect, DownlinkError, webStorage } from "downlink";
import { live } from "downlink/live";

import type { FlightEvent, FlightRow } from "../solid/flight.js";

const session = {
  user: "ann",
  token: async (_reason: "connect" | "renew") => "a token",
  ticket: async () => "a ticket",
};

// ANCHOR: connect
const api = connect("/api", {
  // Called before each request; with "renew" when a token was refused or has expired.
  token: (reason) => session.token(reason),
  // For the URL of a WebSocket, which cannot send a token.
  ticket: () => session.ticket(),
  // One connection for all tabs of this user.
  share: session.user,
});
// ANCHOR_END: connect

// ANCHOR: feed
const feed = api.feed<FlightEvent>({
  filter: { stream_prefix: "flight-" },
  after: "now",
  onEvents(events) {
    for (const event of events) {
      if (event.type === "FlightDelayed") console.log(`${event.stream}: ${event.data.minutes} minutes late`);
    }
  },
  onStatus: ({ state, reason }) => (document.title = reason ? `${state}: ${reason}` : state),
  onReset: "restart",
});
// ANCHOR_END: feed

export async function iterate(signal: AbortSignal): Promise<void> {
  // ANCHOR: iterate
  for await (const event of api.feed<FlightEvent>({ signal, store: webStorage("flights"), onReset: "restart" })) {
    console.log(event.stream, event.type);
  }
  // ANCHOR_END: iterate
}

export function showBoard(element: HTMLElement): () => void {
  // ANCHOR: live
  const board = live<FlightRow>(api, "board", { airport: "EWR" });
  const stop = board.subscribe(({ ready, rows, status }) => {
    element.textContent = ready ? rows.map(({ flight, gate }) => `${flight} at ${gate}`).join("\n") : status.state;
  });
  // ANCHOR_END: live
  return stop;
}

export async function delay(flight: string): Promise<void> {
  // ANCHOR: post
  try {
    const { cursor } = await api.post(`/flights/${flight}/delay`, { minutes: 20 });
    console.log(`done, as of ${cursor}`);
  } catch (error) {
    if (error instanceof DownlinkError && error.code === "already-departed") console.log("too late");
    else throw error;
  }
  // ANCHOR_END: post
}

export const leave = (): void => feed.close();
