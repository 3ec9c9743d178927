import { closed, type DownlinkError, handled } from "./failure.js";
import type { Frame, Source, Spec } from "./source.js";
import type { After, Cursor, CursorStore, Envelope, Filter, OnReset, Reset, Status } from "./types.js";
import { onAbort, Watchdog } from "./watchdog.js";

export interface FeedOptions<E extends Envelope = Envelope> {
  /** Which events; all by default. */
  filter?: Filter;
  /** Where to begin, unless `store` has a cursor: at the start of the log by default. */
  after?: After;
  /** What to do when the log was replaced by another one. */
  onReset: OnReset;
  /** Takes the events that came together, in order, each once. While it runs, no more are taken. */
  onEvents?: (events: readonly E[], cursor: Cursor) => void | Promise<void>;
  onStatus?: (status: Status) => void;
  /** Keeps the cursor for the next run of the program. */
  store?: CursorStore;
  /** Closes the feed. */
  signal?: AbortSignal;
}

/** Follows a source until the signal aborts. */
export type Follow = (source: Source, tell: (status: Status) => void, signal: AbortSignal) => void;

function specOf(filter: Filter = {}): Spec {
  const fields: Record<string, string[]> = {};
  for (const [field, given] of Object.entries(filter)) {
    if (given === undefined) continue;
    fields[field] = [given].flat();
    if (!fields[field].length) throw new TypeError(`'${field}' is empty: leave it out`);
  }
  return { path: "/feed", command: { frame: "subscribe", filter: fields } };
}

/** What the feed itself may write. */
interface Mutable {
  status: Status;
  cursor: Cursor | undefined;
}

/** The place of a cursor, without its check. */
const place = (cursor: Cursor): string => cursor.slice(0, 16);

/**
 * Events that arrive once and in order, through as many connections as it takes. With `onEvents` it begins by
 * itself; without, iterate over it:
 *
 * ```ts
 * for await (const event of api.feed({ onReset: "restart" })) show(event);
 * ```
 */
export class Feed<E extends Envelope = Envelope> implements AsyncIterable<E> {
  readonly #options: FeedOptions<E>;
  readonly #follow: Follow;
  readonly #spec: Spec;
  readonly #closed: Watchdog;
  readonly status: Status = { state: "connecting" };
  /** Everything up to here was handled. */
  readonly cursor: Cursor | undefined;
  #after: After;
  #sink!: NonNullable<FeedOptions<E>["onEvents"]>;
  #saved: Cursor | undefined;
  #isStarted = false;
  /** Is resolved with the last status, when the feed is closed; never rejected. */
  readonly done: Promise<Status>;
  #finish!: (status: Status) => void;

  /** @internal */
  constructor(options: FeedOptions<E>, follow: Follow) {
    this.#options = options;
    this.#follow = follow;
    this.#spec = specOf(options.filter);
    this.#after = options.after ?? "start";
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#closed = new Watchdog(options.signal);
    onAbort(this.#closed.signal, () => this.#tell(closed()));
    if (options.onEvents) {
      this.#sink = options.onEvents;
      queueMicrotask(() => void this.#start());
    }
  }

  /** Releases everything. No handler is called after it. */
  close(): void {
    this.#closed.abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<E, void, undefined> {
    let offer = (_?: E) => {};
    let taken = () => {};
    // Who asks for the next event has handled the one before.
    const next = () =>
      new Promise<E | undefined>((resolve) => {
        offer = resolve;
        taken();
      });
    this.#sink = ([event]) =>
      new Promise((resolve) => {
        taken = resolve;
        offer(event);
      });
    void this.done.then(() => offer());
    void this.#start(1);
    try {
      while (!this.status.ended) {
        const event = await next();
        if (event && !this.status.ended) yield event;
      }
      if (this.status.error) throw this.status.error;
    } finally {
      this.close();
      taken();
      await this.#save();
    }
  }

  async #start(most = Infinity): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    try {
      (this as Mutable).cursor = this.#saved = (await handled(() => this.#options.store?.load())) ?? undefined;
    } catch (error) {
      return this.#tell(closed(error as DownlinkError));
    }
    if (this.status.ended) return;
    const source: Source = {
      spec: this.#spec,
      after: () => this.cursor ?? this.#after,
      deliver: (frames) => this.#deliver(frames, most),
      reset: (reset) => this.#reset(reset),
    };
    this.#follow(source, (status) => this.#tell(status), this.#closed.signal);
  }

  async #deliver(frames: readonly Frame[], most: number): Promise<boolean> {
    let isNew = false;
    for (const { events = [], cursor } of frames) {
      const fresh = events.filter((event) => this.#isNew(event.cursor)) as unknown as E[];
      while (fresh.length) {
        const run = fresh.splice(0, most);
        const { cursor } = run.at(-1) as E;
        await handled(() => this.#sink(run, cursor));
        if (this.status.ended) return true;
        (this as Mutable).cursor = cursor;
        isNew = true;
      }
      if (cursor && this.#isNew(cursor)) {
        isNew ||= this.cursor !== undefined;
        (this as Mutable).cursor = cursor;
      }
    }
    await this.#save();
    return isNew;
  }

  #isNew(cursor: Cursor): boolean {
    return place(cursor) > place(this.cursor ?? "");
  }

  async #save(): Promise<void> {
    const cursor = this.cursor;
    if (!cursor || cursor === this.#saved) return;
    await handled(() => this.#options.store?.save(cursor));
    this.#saved = cursor;
  }

  async #reset(reset: Reset): Promise<boolean> {
    const { onReset, store, after = "start" } = this.#options;
    (this as Mutable).cursor = this.#saved = undefined;
    // A cursor of the log that is gone would be refused again.
    this.#after = after[16] === "-" ? "start" : after;
    await store?.clear();
    if (onReset === "restart") return true;
    const next = await onReset(reset);
    if (next) this.#after = next;
    return next !== undefined;
  }

  #tell(status: Status): void {
    if (this.status.ended) return;
    (this as Mutable).status = status;
    if (status.ended) {
      this.#closed.abort();
      this.#finish(status);
    }
    this.#options.onStatus?.(status);
  }
}
