import { batch, createEffect, createMemo, createSignal, on, onCleanup, untrack } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import { isServer } from "solid-js/web";

import type { Api } from "./connect.js";
import type { Feed, FeedOptions } from "./feed.js";
import { type Live, live, type Overlay, type Params, type Snapshot } from "./live.js";
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

/**
 * Follows the feed while the component is there. With another filter it begins anew; with another `Api`, such as one
 * for other transports, it goes on at its cursor. On a server it does nothing.
 */
export function createFeed<E = Envelope>(api: Tracked<Api>, options: CreateFeed<Events<E>>): Followed {
  const [status, setStatus] = createSignal(CONNECTING);
  const filtered = createMemo(() => read(options.filter));
  let feed: Feed<Events<E>> | undefined;
  let followed: Filter | undefined;
  const begin = ([api, filter]: readonly [Api, Filter | undefined]) => {
    const { filter: _, ...rest } = options;
    const cursor = filter === followed ? feed?.cursor : undefined;
    followed = filter;
    const opened = api.feed<E>({
      ...rest,
      ...(cursor && { after: cursor }),
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
  if (!isServer) createEffect(on(() => [read(api), filtered()] as const, begin));
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
export function createFold<E, S>(api: Tracked<Api>, options: CreateFold<Events<E>, S>): Fold<S> {
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

/**
 * The rows of a live query while the component is there; on a server `initial`, without a connection. The rows stay
 * until those of other parameters, or of another `Api`, are there.
 */
export function createLive<Row extends object>(api: Tracked<Api>, name: string, params?: Tracked<Params>, options: { initial?: readonly Row[] } = {}): Rows<Row> {
  const [store, setStore] = createStore<{ rows: readonly Row[]; ready: boolean; status: Status; cursor: Cursor | undefined }>({
    rows: options.initial ?? [],
    ready: options.initial !== undefined,
    status: CONNECTING,
    cursor: undefined,
  });
  const named = (api: Api, params: Params | undefined) => live<Row>(api, name, params);
  const asked = () => [read(api), params && read(params)] as const;
  let query = named(...untrack(asked));
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
  // The rows and their cursor change together.
  const show = ({ rows, ready, status, cursor, key = "id" }: Snapshot<Row>) =>
    batch(() => {
      setStore({ status, cursor });
      // Until there is an answer, what was there stays.
      if (ready) setStore("rows", reconcile(copies(rows, key), { key }));
      setStore("ready", (was) => was || ready);
    });
  const begin = (asked: readonly [Api, Params | undefined]) => {
    query = named(...asked);
    onCleanup(query.subscribe(show));
  };
  if (!isServer) createEffect(on(asked, begin));
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
