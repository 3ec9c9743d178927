import type { Frames } from "./attempt.js";
import { type Frame, push } from "./source.js";

/** How many events may wait for a slow handler before the subscription is given back to the server. */
const MAX_WAITING = 2048;

/** A subscription: what came for it and was not taken yet. */
export class Subscription {
  /** Whether the server knows it. */
  accepted = false;
  #frames: Frame[] = [];
  #waiting = 0;
  #reason: unknown;
  #wake: (() => void) | undefined;

  constructor(
    readonly sub: string,
    readonly command: Readonly<Record<string, unknown>>,
  ) {}

  async *runs(): Frames {
    for (;;) {
      if (this.#frames.length) {
        this.#waiting = 0;
        yield this.#frames.splice(0);
      } else if (this.#reason) throw this.#reason;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  /** Returns false if the handler is too slow. */
  push(frame: Frame): boolean {
    push(this.#frames, frame);
    this.#waiting += frame.events?.length ?? 1;
    this.#wake?.();
    return this.#waiting <= MAX_WAITING;
  }

  /** After what came, the reason is thrown. */
  end(reason: unknown): void {
    this.#reason ??= reason;
    this.#wake?.();
  }
}
