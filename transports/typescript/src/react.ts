import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import type { Api } from "./connect.js";
import type { FeedOptions } from "./feed.js";
import { type Live, live, type Params, type Snapshot } from "./live.js";
import type { Envelope, Events, Status } from "./types.js";

const CONNECTING: Status = { state: "connecting" };

export interface UseLive<Row extends object> extends Snapshot<Row> {
  readonly mutate: Live<Row>["mutate"];
}

/** The rows of a live query while the component is mounted; on a server `initial`, without a connection. */
export function useLive<Row extends object>(api: Api, name: string, params?: Params, options: { initial?: readonly Row[] } = {}): UseLive<Row> {
  // Parameters are compared by value, since they are written as a literal.
  const given = JSON.stringify(params);
  const query = useMemo(() => live<Row>(api, name, given ? (JSON.parse(given) as Params) : undefined), [api, name, given]);
  const subscribe = useCallback((changed: () => void) => query.subscribe(changed), [query]);
  const [server] = useState<Snapshot<Row>>(() => {
    const { initial } = options;
    return { rows: initial ?? [], ready: initial !== undefined, status: CONNECTING, cursor: undefined, key: undefined };
  });
  const now = useSyncExternalStore(subscribe, () => query.snapshot, () => server);
  const snapshot = now.ready || !server.ready ? now : { ...server, status: now.status };
  return useMemo(() => ({ ...snapshot, mutate: query.mutate.bind(query) }), [query, snapshot]);
}

/** Follows the feed while the component is mounted. It begins anew when the filter or `after` changes. */
export function useFeed<E = Envelope>(api: Api, options: Omit<FeedOptions<Events<E>>, "signal"> & Required<Pick<FeedOptions<Events<E>>, "onEvents">>): Status {
  const [status, setStatus] = useState(CONNECTING);
  // The newest handlers are called, and do not make it begin anew.
  const newest = useRef(options);
  useEffect(() => void (newest.current = options));
  const given = JSON.stringify([options.filter, options.after]);
  useEffect(() => {
    const { onReset } = newest.current;
    const feed = api.feed<E>({
      ...newest.current,
      onEvents: (events, cursor) => newest.current.onEvents(events, cursor),
      onReset: typeof onReset === "function" ? (reset) => (newest.current.onReset as typeof onReset)(reset) : onReset,
      onStatus: (status) => {
        if (!status.ended || status.error) setStatus(status);
        newest.current.onStatus?.(status);
      },
    });
    return () => feed.close();
  }, [api, given]);
  return status;
}

/** Folds events into a state, which begins with `initial` again when the filter changes and after a reset. */
export function useFold<E, S>(
  api: Api,
  options: Omit<FeedOptions<Events<E>>, "signal" | "onEvents"> & { initial: S; evolve: (state: S, event: Events<E>) => S },
): { value: S; status: Status } {
  const { initial, evolve } = options;
  const given = JSON.stringify([options.filter, options.after]);
  const [folded, setFolded] = useState({ given, value: initial });
  const begin = (state: typeof folded) => (state.given === given ? state.value : initial);
  const status = useFeed<E>(api, {
    ...options,
    onStatus: (status) => {
      if (status.state === "reset") setFolded({ given, value: initial });
      options.onStatus?.(status);
    },
    onEvents: (events) => setFolded((state) => ({ given, value: events.reduce(evolve, begin(state)) })),
  });
  return { value: begin(folded), status };
}
