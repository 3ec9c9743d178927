import type { Api } from "./connect.js";
import type { Frame, Source } from "./source.js";
import type { Cursor, Status } from "./types.js";

/** The values of a query's parameters; those that are undefined are left out. */
export type Params = Readonly<Record<string, string | number | boolean | undefined>>;

/** What a live query shows now. A new object whenever something has changed; rows that have not are the same objects. */
export interface Snapshot<Row> {
  readonly rows: readonly Row[];
  /** Whether the rows are an answer; it stays so while a connection is away. */
  readonly ready: boolean;
  readonly status: Status;
  /** The rows are the answer as of here. */
  readonly cursor: Cursor | undefined;
  /** The member of the rows that is their key. */
  readonly key: string | undefined;
}

/** An optimistic change: the members of one row, or what becomes of all. */
export type Overlay<Row> = Partial<Row> | ((rows: readonly Row[]) => readonly Row[]);

/** A change of the server's rows. */
export interface Change<Row> {
  /** Whether all rows are new, so that those that are not put are gone. */
  readonly all: boolean;
  readonly put: readonly Row[];
  readonly del: readonly unknown[];
}

type Record_ = Record<string, unknown>;
interface Pending<Row> {
  apply(rows: readonly Row[]): readonly Row[];
  until?: Cursor;
}

const place = (cursor: Cursor): string => cursor.slice(0, 16);
const hash = (token: string | undefined): string | undefined => token?.split("~")[1];
const text = (key: unknown): string => JSON.stringify(key);

/**
 * The rows of a live query. It is connected while it has a listener, and resumes with what it has.
 *
 * A store for Svelte as it is; for others there are `downlink/solid` and `downlink/react`.
 */
export class Live<Row extends object> {
  readonly #api: Api;
  readonly #source: Source;
  readonly #listeners = new Set<(snapshot: Snapshot<Row>) => void>();
  readonly #changes = new Set<(change: Change<Row>) => void>();
  #rows: readonly Row[] = [];
  #pending: readonly Pending<Row>[] = [];
  #token: string | undefined;
  #following: AbortController | undefined;
  #snapshot: Snapshot<Row> = { rows: [], ready: false, status: { state: "connecting" }, cursor: undefined, key: undefined };

  constructor(api: Api, name: string, params: Params = {}) {
    const given = Object.entries(params).filter(([, value]) => value !== undefined).map(([key, value]): [string, string] => [key, String(value)]);
    given.sort();
    this.#api = api;
    this.#source = {
      spec: {
        path: `/live/${encodeURIComponent(name)}`,
        command: { frame: "watch", query: name, params: Object.fromEntries(given) },
      },
      after: () => this.#token,
      deliver: (frames) => this.#deliver(frames),
      reset: () => {
        this.#token = undefined;
        return true;
      },
    };
  }

  get snapshot(): Snapshot<Row> {
    return this.#snapshot;
  }

  /** Calls the listener at once and after every change, until the function that is returned is called. */
  subscribe(listener: (snapshot: Snapshot<Row>) => void): () => void {
    this.#listeners.add(listener);
    if (!this.#following) this.#follow();
    listener(this.#snapshot);
    return () => {
      this.#listeners.delete(listener);
      // A component that is mounted again at once does not need another connection.
      setTimeout(() => {
        if (this.#listeners.size === 0) this.#stop();
      });
    };
  }

  /** Calls the listener with the changes of the server's rows, beginning with those that are there. */
  onChange(listener: (change: Change<Row>) => void): () => void {
    if (this.#token) listener({ all: true, put: this.#rows, del: [] });
    this.#changes.add(listener);
    return () => void this.#changes.delete(listener);
  }

  /**
   * Sends a command, and shows its effect until the query has passed the answer's cursor. A refusal undoes it and
   * is thrown.
   */
  async mutate<A extends { cursor?: Cursor | undefined }>(overlay: Overlay<Row>, send: () => Promise<A>): Promise<A> {
    const pending: Pending<Row> = { apply: typeof overlay === "function" ? overlay : (rows) => this.#put(rows, [overlay], true) };
    const remove = () => {
      this.#pending = this.#pending.filter((other) => other !== pending);
      this.#set({});
    };
    this.#pending = [...this.#pending, pending];
    this.#set({});
    try {
      const answer = await send();
      if (answer.cursor && !this.#passed(answer.cursor) && this.#following) pending.until = answer.cursor;
      else remove();
      return answer;
    } catch (error) {
      remove();
      throw error;
    }
  }

  /** Waits until the rows are the answer as of this cursor, such as that of a command's answer, or later. */
  awaitCursor(cursor: Cursor, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        leave();
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        end();
        reject(signal?.reason);
      };
      let leave = () => {};
      const check = () => {
        if (!this.#passed(cursor)) return;
        queueMicrotask(end);
        resolve();
      };
      leave = this.subscribe(check);
      signal?.addEventListener("abort", abort);
      if (signal?.aborted) abort();
    });
  }

  #passed(cursor: Cursor): boolean {
    return this.#token !== undefined && place(this.#token) >= place(cursor);
  }

  #follow(): void {
    this.#following = new AbortController();
    this.#api.follow(this.#source, (status) => this.#set({ status }), this.#following.signal);
  }

  #stop(): void {
    this.#following?.abort();
    this.#following = undefined;
    this.#pending = [];
  }

  #deliver(frames: readonly Frame[]): boolean {
    let isNew = false;
    const members: { key?: string } = {};
    for (const frame of frames) {
      if (typeof frame["key"] === "string") members.key = frame["key"];
      if (typeof frame["token"] !== "string") continue;
      this.#apply(frame, members.key ?? this.#snapshot.key ?? "id");
      isNew = true;
    }
    if (isNew || members.key) this.#set(members);
    return isNew;
  }

  #apply(frame: Frame, key: string): void {
    const token = frame["token"] as string;
    const { put = [], del = [], order, rows } = frame as unknown as { put?: Row[]; del?: unknown[]; order?: unknown[]; rows?: Row[] };
    if (frame.frame === "result") {
      this.#rows = rows ?? [];
      this.#tell({ all: true, put: this.#rows, del });
    } else if ((frame.frame === "rows" ? frame["base"] : hash(token)) !== hash(this.#token)) {
      this.#token = undefined;
      throw new Error("this changes other rows than are here");
    } else if (frame.frame === "rows") {
      const gone = new Set(del.map(text));
      const kept = this.#rows.filter((row) => !gone.has(text((row as Record_)[key])));
      this.#rows = this.#put(kept, put, false, key);
      if (order) {
        const byKey = new Map(this.#rows.map((row) => [text((row as Record_)[key]), row]));
        this.#rows = order.flatMap((one) => byKey.get(text(one)) ?? []);
      }
      this.#tell({ all: false, put, del });
    }
    this.#token = token;
  }

  /** Replaces rows, or adds them at the end. */
  #put(rows: readonly Row[], put: readonly Partial<Row>[], merges: boolean, key = this.#snapshot.key ?? "id"): Row[] {
    const next = [...rows];
    const index = new Map(rows.map((row, at) => [text((row as Record_)[key]), at]));
    for (const row of put) {
      const at = index.get(text((row as Record_)[key]));
      next[at ?? next.length] = (merges && at !== undefined ? { ...next[at], ...row } : row) as Row;
    }
    return next;
  }

  #tell(change: Change<Row>): void {
    for (const listener of this.#changes) listener(change);
  }

  #set(change: Partial<Snapshot<Row>>): void {
    this.#pending = this.#pending.filter(({ until }) => !until || !this.#passed(until));
    const rows = this.#pending.reduce((rows, { apply }) => apply(rows), this.#rows);
    const cursor = this.#token?.split("~")[0];
    this.#snapshot = { ...this.#snapshot, ...change, rows, cursor, ready: this.#snapshot.ready || !!this.#token };
    for (const listener of [...this.#listeners]) listener(this.#snapshot);
  }
}

/** Names a live query; nothing is requested until something subscribes to it. */
export const live = <Row extends object>(api: Api, name: string, params?: Params): Live<Row> => new Live<Row>(api, name, params);
