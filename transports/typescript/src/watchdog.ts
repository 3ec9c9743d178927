/** A signal that also aborts when it is not fed in time. */
export class Watchdog {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  #outer: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer?: AbortSignal) {
    this.signal = this.#controller.signal;
    this.#outer = outer;
    outer?.addEventListener("abort", this.#follow);
    if (outer?.aborted) this.#follow();
  }

  readonly #follow = () => this.abort(this.#outer?.reason);

  /** Begins to wait anew; without a number it waits forever. */
  feed(milliseconds?: number, expired?: () => unknown): void {
    clearTimeout(this.#timer);
    if (milliseconds && !this.signal.aborted) this.#timer = setTimeout(() => this.abort(expired?.()), milliseconds);
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
