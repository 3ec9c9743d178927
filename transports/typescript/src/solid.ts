import { createEffect, createSignal, on, onCleanup, untrack } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import { isServer } from "solid-js/web";

import type { Api } from "./connect.js";
import type { Feed, FeedOptions } from "./feed.js";
import { type Live, live, type Overlay, type Params } from "./live.js";
import type { Cursor, Envelope, Events, Filter, State, Status } from "./types.js";

/** A value, or a function that is tracked: when it changes, the feed or query begins anew. */
type Tracked<T> = T | (() => T);

const read = <T>(value: Tracked<T>): T => (typeof value === "function" ? (value as () => T)() : value);

const CONNECTING: Status = { state: "connecting" };

/** The state of what a component follows, as reactive properties. */
export interface Followed {
  readonly state: State;
  readonly status: Status;
  readonly cursor: Cursor | undefined;
}

export interface CreateFeed<E extends Envelope> extends Omit<FeedOptions<E>, "filter" | "signal"> {
  filter?: Tracked<Filter | undefined>;
  onEvents: NonNullable<FeedOptions<E>["onEvents"]>;
}

/** Follows the feed while the component is there. On a server it does nothing. */
export function createFeed<E = Envelope>(api: Api, options: CreateFeed<Events<E>>): Followed {
  const [status, setStatus] = createSignal(CONNECTING);
  let feed: Feed<Events<E>> | undefined;
  const begin = (filter: Filter | undefined) => {
    const { filter: _, ...rest } = options;
    const opened = api.feed<E>({
      ...rest,
      ...(filter && { filter }),
      onStatus(status) {
        // The state of a feed that was replaced is of no interest.
        if (feed === opened) setStatus(status);
        options.onStatus?.(status);
      },
    });
    feed = opened;
    onCleanup(() => opened.close());
  };
  if (!isServer) createEffect(on(() => read(options.filter), begin));
  return {
    get state() {
      return status().state;
    },
    get status() {
      return status();
    },
    get cursor() {
      status();
      return feed?.cursor;
    },
  };
}

export interface CreateFold<E extends Envelope, S> extends Omit<CreateFeed<E>, "onEvents"> {
  initial: S;
  evolve: (state: S, event: E) => S;
}

export interface Fold<S> extends Followed {
  /** The state after all events so far. */
  (): S;
}

/** Folds events into a state. It begins with `initial` again when the filter changes and after a reset. */
export function createFold<E, S>(api: Api, options: CreateFold<Events<E>, S>): Fold<S> {
  const [value, setValue] = createSignal(options.initial, { equals: false });
  const restart = () => void setValue(() => options.initial);
  if (!isServer) createEffect(on(() => read(options.filter), restart, { defer: true }));
  const followed = createFeed<E>(api, {
    ...options,
    onEvents: (events) => void setValue((state) => events.reduce(options.evolve, state)),
    onStatus(status) {
      if (status.state === "reset") restart();
      options.onStatus?.(status);
    },
  });
  return Object.defineProperties(() => value(), Object.getOwnPropertyDescriptors(followed)) as unknown as Fold<S>;
}

export interface Rows<Row> extends Followed {
  /** A store: rows and members that have not changed are not rendered again. */
  readonly rows: readonly Row[];
  readonly ready: boolean;
  readonly mutate: Live<Row & object>["mutate"];
}

/** The rows of a live query while the component is there; on a server `initial`, without a connection. */
export function createLive<Row extends object>(api: Api, name: string, params?: Tracked<Params>, options: { initial?: readonly Row[] } = {}): Rows<Row> {
  const [store, setStore] = createStore<{ rows: readonly Row[]; ready: boolean; status: Status; cursor: Cursor | undefined }>({
    rows: options.initial ?? [],
    ready: options.initial !== undefined,
    status: CONNECTING,
    cursor: undefined,
  });
  let query = live<Row>(api, name, untrack(() => params && read(params)));
  // A store changes the objects that it holds, and those of the query must stay as they are.
  let held = new Map<unknown, { row: Row; copy: Row }>();
  const copies = (rows: readonly Row[], key: string): Row[] => {
    const next: typeof held = new Map();
    const all = rows.map((row) => {
      const id = (row as Record<string, unknown>)[key];
      const known = held.get(id);
      const copy = known?.row === row ? known.copy : structuredClone(row);
      next.set(id, { row, copy: known?.copy ?? copy });
      return copy;
    });
    held = next;
    return all;
  };
  const begin = (params: Params | undefined) => {
    query = live<Row>(api, name, params);
    onCleanup(
      query.subscribe(({ rows, ready, status, cursor, key }) => {
        setStore({ status, cursor });
        // Until there is an answer, what was there stays.
        if (ready) setStore("rows", reconcile(copies(rows, key ?? "id"), { key: key ?? "id" }));
        setStore("ready", (was) => was || ready);
      }),
    );
  };
  if (!isServer) createEffect(on(() => params && read(params), begin));
  return {
    get rows() {
      return store.rows;
    },
    get ready() {
      return store.ready;
    },
    get state() {
      return store.status.state;
    },
    get status() {
      return store.status;
    },
    get cursor() {
      return store.cursor;
    },
    mutate: (overlay: Overlay<Row>, send) => query.mutate(overlay, send),
  };
}
