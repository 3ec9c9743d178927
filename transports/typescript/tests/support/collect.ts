import { onTestFinished } from "vitest";
import { WebSocket } from "ws";

import { type After, connect, type ConnectOptions, type Envelope, type Feed, type FeedOptions, type Status, type Transport } from "../../src/index.js";


export const TRANSPORTS: Transport[] = ["websocket", "sse", "long-poll"];

/** Delays that suit a test. */
export const options = (more: ConnectOptions = {}): ConnectOptions => ({
  WebSocket: WebSocket as unknown as NonNullable<ConnectOptions["WebSocket"]>,
  delay: { min: 1, max: 20, serverMax: 2000 },
  ...more,
});

export interface Collected {
  feed: Feed;
  numbers: number[];
  statuses: Status[];
  state: () => string;
}

type Counted = Envelope<{ n: number }>;

/** Follows a feed, and keeps the numbers of its events and what it tells. */
export function collect(origin: string, more: ConnectOptions = {}, feedOptions: Partial<FeedOptions> & { after?: After } = {}): Collected {
  const numbers: number[] = [];
  const statuses: Status[] = [];
  const feed = connect(origin, options(more)).feed({
    onReset: "restart",
    onEvents: (events) => void numbers.push(...events.map((event) => (event as Counted).data.n)),
    onStatus: (status) => void statuses.push(status),
    ...feedOptions,
  });
  onTestFinished(() => feed.close());
  return { feed, numbers, statuses, state: () => statuses.at(-1)?.state ?? "none" };
}

export const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
