import { closed, type DownlinkError, handled } from "./failure.js";
import type { Frame, Source, Spec } from "./source.js";
import type { After, Cursor, CursorStore, Envelope, Filter, OnReset, Reset, Status } from "./types.js";
import { onAbort } from "./watchdog.js";

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

export interface Handle {
  close(): void;
}

/** Follows a source until it is closed. */
export type Follow = (source: Source, tell: (status: Status) => void) => Handle;

function specOf(filter: Filter = {}): Spec {
  const query: [string, string][] = [];
  const json: Record<string, string[]> = {};
  for (const [field, given] of Object.entries(filter)) {
    if (given === undefined) continue;
    const values = [given].flat();
    if (values.length === 0) throw new TypeError(`'${field}' is empty: leave it out`);
    json[field] = values;
    for (const value of values) query.push([field, value]);
  }
  return { path: "/feed", query, command: { frame: "subscribe", filter: json } };
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
  #handle: Handle | undefined;
  readonly status: Status = { state: "connecting" };
  /** Everything up to here was handled. */
  readonly cursor: Cursor | undefined;
  #after: After;
  #sink: (events: readonly E[], cursor: Cursor) => void | Promise<void>;
  #saved: Cursor | undefined;
  #isEnded = false;
  readonly #end = () => this.close();
  /** Is resolved with the last status, when the feed is closed; never rejected. */
  readonly done: Promise<Status>;
  #finish!: (status: Status) => void;

  /** @internal */
  constructor(options: FeedOptions<E>, follow: Follow) {
    this.#options = options;
    this.#follow = follow;
    this.#spec = specOf(options.filter);
    this.#after = options.after ?? "start";
    this.#sink = options.onEvents ?? (() => {});
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    onAbort(options.signal, this.#end);
    if (options.onEvents) queueMicrotask(() => void this.#start());
  }

  /** Releases everything. No handler is called after it. */
  close(): void {
    this.#tell(closed());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<E, void, undefined> {
    // One event is on offer at a time, and the next one when the caller asks for it: then this one was handled.
    let offered: E | undefined;
    let wake = () => {};
    let taken = () => {};
    this.#sink = ([event]) =>
      new Promise((resolve) => {
        [offered, taken] = [event, resolve];
        wake();
      });
    void this.done.then(() => wake());
    void this.#start(1);
    try {
      while (!this.#isEnded) {
        if (offered) {
          yield offered;
          offered = undefined;
          taken();
        } else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
      if (this.status.error) throw this.status.error;
    } finally {
      this.close();
      taken();
      await this.#save();
    }
  }

  async #start(most = Infinity): Promise<void> {
    if (this.#handle || this.#isEnded) return;
    try {
      (this as Mutable).cursor = this.#saved = (await handled(() => this.#options.store?.load())) ?? undefined;
    } catch (error) {
      return this.#tell(closed(error as DownlinkError));
    }
    if (this.#isEnded) return;
    const source: Source = {
      spec: this.#spec,
      after: () => this.cursor ?? this.#after,
      deliver: (frames) => this.#deliver(frames, most),
      reset: (reset) => this.#reset(reset),
    };
    this.#handle = this.#follow(source, (status) => this.#tell(status));
    // It may have been closed meanwhile, by what it told.
    if (this.#isEnded) this.#handle.close();
  }

  async #deliver(frames: readonly Frame[], most: number): Promise<boolean> {
    let isNew = false;
    for (const { events, cursor } of frames) {
      const fresh = (events ?? []).filter((event) => this.#isNew(event.cursor)) as unknown as E[];
      for (let from = 0; from < fresh.length; from += most) {
        await this.#hand(fresh.slice(from, from + most));
        if (this.#isEnded) return true;
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
    return this.cursor === undefined || place(cursor) > place(this.cursor);
  }

  async #hand(events: readonly E[]): Promise<void> {
    const cursor = events.at(-1)?.cursor;
    if (!cursor) return;
    await handled(() => this.#sink(events, cursor));
    if (!this.#isEnded) (this as Mutable).cursor = cursor;
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
    if (this.#isEnded) return;
    (this as Mutable).status = status;
    if (status.ended) {
      this.#isEnded = true;
      this.#options.signal?.removeEventListener("abort", this.#end);
      this.#handle?.close();
      this.#finish(status);
    }
    this.#options.onStatus?.(status);
  }
}
