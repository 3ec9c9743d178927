import { aborted, Watchdog } from "./watchdog.js";

/** What a server asks for: nothing, a delay for this client alone, or one for all clients, to be spread by them. */
export interface ServerDelay {
  exactly?: number | undefined;
  retryAfter?: number | undefined;
}

export const DEFAULT_DELAY = { min: 1000, max: 10_000, serverMax: 60_000 };

export interface DelayRange {
  min: number;
  max: number;
  serverMax: number;
}

/** After this many unproductive connections in a row, a server can no longer shorten the delay. */
const MAX_UNPRODUCTIVE = 3;
/** A server that asks for no delay must not cause a busy loop. */
const SHORTEST = 100;

const between = (min: number, max: number): number => min + Math.random() * (max - min);

/** Milliseconds until the next attempt: random over the whole range, unless the server says otherwise. */
export function nextDelay(range: DelayRange, server: ServerDelay, unproductive: number): number {
  const ours = between(range.min, range.max);
  const { exactly, retryAfter } = server;
  let delay = exactly ?? (retryAfter === undefined ? ours : between(retryAfter, retryAfter * 1.5));
  if (unproductive > MAX_UNPRODUCTIVE) delay = Math.max(delay, ours);
  return Math.max(Math.min(delay, range.serverMax), Math.min(SHORTEST, range.min));
}

/** Waits; an abort ends it with the signal's reason. */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  const dog = new Watchdog(signal);
  dog.feed(milliseconds);
  await aborted(dog.signal);
  signal?.throwIfAborted();
}
