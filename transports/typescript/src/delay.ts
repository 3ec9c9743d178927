/** What a server asks for: nothing, a delay for this client alone, or one for all clients, to be spread by them. */
export interface ServerDelay {
  exactly?: number | undefined;
  atLeast?: number | undefined;
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

const between = (min: number, max: number): number => min + Math.random() * Math.max(0, max - min);

/** Milliseconds until the next attempt: random over the whole range, unless the server says otherwise. */
export function nextDelay(range: DelayRange, server: ServerDelay, unproductive: number): number {
  const ours = between(range.min, range.max);
  const { exactly, atLeast } = server;
  let delay = exactly ?? (atLeast === undefined ? ours : between(atLeast, atLeast * 1.5));
  if (unproductive > MAX_UNPRODUCTIVE) delay = Math.max(delay, ours);
  const floor = Math.max(1, Math.min(SHORTEST, range.min));
  return Math.min(Math.max(delay, floor), Math.max(range.serverMax, floor));
}

/** Waits; an abort ends it with the signal's reason. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
}
