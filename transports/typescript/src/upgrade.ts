import type { Attempt } from "./attempt.js";
import type { Reconnector } from "./reconnector.js";

const MAX_FACTOR = 12;

/** Tries preferred transports again after a fallback, less and less often. */
export class Upgrade {
  #attempt: Attempt | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failed = 0;

  constructor(readonly reconnector: Reconnector) {}

  plan(): void {
    clearTimeout(this.#timer);
    const { upgradeAfter = 300_000 } = this.reconnector.net.options;
    const factor = Math.min(2 ** this.#failed, MAX_FACTOR);
    this.#timer = setTimeout(() => void this.#try(), upgradeAfter * factor * (1 + Math.random()));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#attempt?.abort();
  }

  /** Opens a connection beside the one in use, and switches when it is ready. */
  async #try(): Promise<void> {
    const { readyDeadline = 10_000 } = this.reconnector.net.options;
    for (let index = 0; index < this.reconnector.preferred; index++) {
      const attempt = (this.#attempt = this.reconnector.open(index));
      const deadline = setTimeout(() => attempt.abort(), readyDeadline);
      attempt.first = (await attempt.frames.next().catch(() => undefined))?.value ?? [];
      clearTimeout(deadline);
      this.#attempt = undefined;
      if (attempt.first.some(({ frame }) => frame === "ready") && !attempt.signal.aborted && index < this.reconnector.preferred) {
        this.#failed = 0;
        return this.reconnector.use(attempt);
      }
      attempt.abort();
    }
    this.#failed++;
    if (this.reconnector.preferred) this.plan();
  }
}
