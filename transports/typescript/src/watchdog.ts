/** Aborts when it is not fed in time. */
export class Watchdog {
  readonly #controller = new AbortController();
  readonly #leave: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Also aborts with this signal. */
  constructor(outer?: AbortSignal) {
    const abort = () => this.abort(outer?.reason);
    outer?.addEventListener("abort", abort);
    this.#leave = () => outer?.removeEventListener("abort", abort);
    if (outer?.aborted) abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begins to wait anew; without a number it waits forever. */
  feed(milliseconds?: number, expired?: () => unknown): void {
    clearTimeout(this.#timer);
    if (milliseconds !== undefined && !this.signal.aborted) {
      this.#timer = setTimeout(() => this.abort(expired?.()), milliseconds);
    }
  }

  abort(reason?: unknown): void {
    this.stop();
    this.#controller.abort(reason);
  }

  /** Ends the waiting, and what it has registered. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#leave();
  }
}
