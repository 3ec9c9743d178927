import type { Attempt } from "./attempt.js";
import type { ConnectOptions } from "./types.js";

const MAX_FACTOR = 12;

/** Tries preferred transports again after a fallback, less and less often. */
export class Upgrade {
  #attempt: Attempt | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failed = 0;

  constructor(
    readonly options: ConnectOptions,
    /** How many transports are preferred to the one in use; none while that is not ready. */
    readonly preferred: () => number,
    readonly open: (index: number) => Attempt,
    /** Uses this attempt, which is ready, from now on. */
    readonly use: (attempt: Attempt) => void,
  ) {}

  plan(): void {
    clearTimeout(this.#timer);
    const { upgradeAfter = 300_000 } = this.options;
    const factor = Math.min(2 ** this.#failed, MAX_FACTOR);
    this.#timer = setTimeout(() => void this.#try(), upgradeAfter * factor * (1 + Math.random()));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#attempt?.abort();
  }

  /** Opens a connection beside the one in use, and switches when it is ready. */
  async #try(): Promise<void> {
    const { readyDeadline = 10_000 } = this.options;
    for (let index = 0; index < this.preferred(); index++) {
      const attempt = (this.#attempt = this.open(index));
      const deadline = setTimeout(() => attempt.abort(), readyDeadline);
      attempt.first = (await attempt.frames.next().catch(() => undefined))?.value ?? [];
      clearTimeout(deadline);
      this.#attempt = undefined;
      if (attempt.first.some(({ frame }) => frame === "ready") && !attempt.signal.aborted && index < this.preferred()) {
        this.#failed = 0;
        return this.use(attempt);
      }
      attempt.abort();
    }
    this.#failed++;
    if (this.preferred()) this.plan();
  }
}
