/** Calls the listener when the signal aborts, or at once if it has. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): void {
  signal?.addEventListener("abort", listener);
  if (signal?.aborted) listener();
}

/** A signal that also aborts when it is not fed in time. */
export class Watchdog {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  #outer: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer?: AbortSignal) {
    this.signal = this.#controller.signal;
    this.#outer = outer;
    onAbort(outer, this.#follow);
  }

  readonly #follow = () => this.abort(this.#outer?.reason);

  /** Begins to wait anew; without a number it waits forever. */
  feed(milliseconds?: number, expired?: () => unknown): void {
    clearTimeout(this.#timer);
    if (milliseconds !== undefined && !this.signal.aborted) this.#timer = setTimeout(() => this.abort(expired?.()), milliseconds);
  }

  abort(reason?: unknown): void {
    this.stop();
    this.#controller.abort(reason);
  }

  /** Ends the waiting, and what it has registered. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#follow);
  }
}
