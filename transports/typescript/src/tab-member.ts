import { DEFAULT_DELAY, nextDelay, type ServerDelay, sleep } from "./delay.js";
import { type DownlinkError, toFailure } from "./failure.js";
import type { Net } from "./net.js";
import { fromPage, getPage, resume } from "./page.js";
import type { Source } from "./source.js";
import type { Group } from "./tab-group.js";
import { covers, hash, type Is, type Run } from "./tab-messages.js";
import type { Status } from "./types.js";
import { onAbort } from "./watchdog.js";

/** How many runs may wait for a slow handler; after that they are read from the server. */
const MAX_RUNS = 64;

/** A feed or a live query of this tab. */
export class Member {
  /** Where it is; nothing until its first page. */
  at: string | undefined;
  #runs: Run[] = [];
  #isBusy = false;
  #hasGap = true;
  #wake: (() => void) | undefined;
  #isAlone = false;
  #unproductive = 0;

  constructor(
    readonly group: Group,
    readonly net: Net,
    readonly source: Source,
    readonly tell: (status: Status) => void,
    readonly signal: AbortSignal,
  ) {
    onAbort(signal, () => {
      this.#wake?.();
      this.group.remove(this);
    });
    void this.#run();
  }

  gap(): void {
    this.#hasGap = true;
    this.#wake?.();
  }

  take(message: Run | Is): void {
    if ("run" in message) {
      this.#runs.push(message);
      if (this.#runs.length > MAX_RUNS) this.#hasGap = true;
      if (this.#hasGap) this.#runs = [];
      return this.#wake?.();
    }
    const { status, at } = message;
    // This tab finds out why, but not in a busy loop.
    if (status.ended) void setTimeout(() => this.gap(), this.#delay({}));
    else if (this.#hasGap || this.#isBusy || this.#runs.length || this.at === undefined) return;
    // The leader has sent what this tab has missed.
    else if (!covers(this.at, at)) this.gap();
    else this.tell(status);
  }

  #delay(server: ServerDelay): number {
    return nextDelay({ ...DEFAULT_DELAY, ...this.net.options.delay }, server, ++this.#unproductive);
  }

  async #run(): Promise<void> {
    this.tell({ state: "connecting" });
    while (!this.signal.aborted && !this.#isAlone) {
      const run = this.#runs.shift();
      try {
        if (this.#hasGap) await this.#page();
        else if (run) await this.#apply(run);
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      } catch (error) {
        if (!this.signal.aborted) await this.#failed(toFailure(error));
      }
    }
  }

  async #apply({ prev, at, frames }: Run): Promise<void> {
    const mine = this.at ?? "";
    if (!covers(mine, prev) && frames[0]?.frame !== "result") return this.gap();
    if (!hash(at) && covers(mine, at)) return;
    this.#isBusy = true;
    await this.source.deliver(frames);
    this.#isBusy = false;
    this.at = this.source.after();
  }

  /** Reads what is missing from the server, up to its head. */
  async #page(): Promise<void> {
    const { spec } = this.source;
    this.#runs = [];
    for (let more: boolean | undefined = true; more; ) {
      const page = await getPage(this.net, spec.path, resume(spec, this.source.after()), this.signal);
      this.tell({ state: "catching-up" });
      await this.source.deliver(fromPage(page, false));
      more = page.more;
    }
    this.#unproductive = 0;
    this.#hasGap = false;
    this.at = this.source.after();
    this.group.want();
  }

  async #failed(failure: DownlinkError): Promise<void> {
    const isReset = failure.kind === "final" && /^cursor-(ahead|expired)$|^history-changed$/.test(failure.code);
    if (isReset) {
      const status: Status = { state: "reset", reason: failure.code, error: failure };
      this.tell(status);
      if (!(await this.source.reset({ reason: failure.code }))) this.tell({ ...status, ended: true });
      this.at = undefined;
      this.#hasGap = true;
    } else if (failure.kind === "final" || failure.kind === "foreign") {
      // It says why, and knows what else could work.
      this.group.remove(this);
      this.#isAlone = true;
      this.group.alone(this.source, this.tell, this.signal);
      return;
    }
    const delay = this.#delay(failure);
    if (!isReset) this.tell({ state: this.at === undefined ? "connecting" : "reconnecting", reason: failure.message, retryIn: delay });
    await sleep(delay, this.signal).catch(() => {});
  }
}
