/** Calls the listener when the signal aborts, or at once if it has; no longer when `until` has aborted. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void, until?: AbortSignal): void {
  signal?.addEventListener("abort", listener, until && { signal: until });
  if (signal?.aborted) listener();
}

/** Waits until the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> => new Promise((resolve) => onAbort(signal, resolve));

/** A controller that also aborts with another signal, and when it is not fed in time. */
export class Watchdog extends AbortController {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer?: AbortSignal) {
    super();
    onAbort(outer, () => this.abort(outer?.reason), this.signal);
  }

  /** Begins to wait anew; without a number it waits forever. */
  feed(milliseconds?: number, expired?: () => unknown): void {
    clearTimeout(this.#timer);
    if (milliseconds !== undefined && !this.signal.aborted) this.#timer = setTimeout(() => this.abort(expired?.()), milliseconds);
  }

  override abort(reason?: unknown): void {
    clearTimeout(this.#timer);
    super.abort(reason);
  }
}
