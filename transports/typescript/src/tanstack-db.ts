import type { CollectionConfig, SyncConfig } from "@tanstack/db";

import type { Api } from "./connect.js";
import { type Change, type Live, live, type Params } from "./live.js";
import type { Cursor } from "./types.js";

type Key = string | number;

export interface LiveCollection<Row extends object> {
  /** The name of the live query. */
  query: string;
  params?: Params;
  /** The key of a row, which must be that of the query. */
  getKey: (row: Row) => Key;
  id?: string;
}

export type LiveCollectionConfig<Row extends object> = CollectionConfig<Row, Key> & {
  sync: SyncConfig<Row, Key>;
  utils: { awaitCursor: (cursor: Cursor, signal?: AbortSignal) => Promise<void>; live: Live<Row> };
};

/**
 * The options of a collection that is kept as a live query. In `onInsert`, `onUpdate` and `onDelete`, post the
 * command and wait until the rows have it, so that the optimistic state does not flicker:
 *
 * ```ts
 * const options = liveCollectionOptions<FlightRow>(api, { query: "board", getKey: (row) => row.flight });
 * const flights = createCollection({ ...options, onUpdate: async ({ transaction }) => {
 *   const { cursor } = await api.post("/delay", transaction.mutations[0].changes);
 *   if (cursor) await options.utils.awaitCursor(cursor);
 * } });
 * ```
 */
export function liveCollectionOptions<Row extends object>(api: Api, { query, params, getKey, id }: LiveCollection<Row>): LiveCollectionConfig<Row> {
  const rows = live<Row>(api, query, params);
  const sync: SyncConfig<Row, Key>["sync"] = ({ begin, write, commit, truncate, markReady, collection }) => {
    let known = new Set<Key>();
    const change = ({ all, put, del }: Change<Row>) => {
      begin();
      if (all) {
        truncate();
        known = new Set();
      }
      for (const key of del as Key[]) {
        if (!known.delete(key)) continue;
        write({ type: "delete", key });
      }
      for (const value of put) {
        const key = getKey(value);
        write({ type: known.has(key) ? "update" : "insert", value });
        known.add(key);
      }
      commit();
    };
    const leaves = [rows.onChange(change), rows.subscribe(({ ready }) => ready && collection.status === "loading" && markReady())];
    return () => {
      for (const leave of leaves) leave();
    };
  };
  return {
    ...(id !== undefined && { id }),
    getKey,
    // What comes are whole rows.
    sync: { sync, rowUpdateMode: "full" },
    utils: { awaitCursor: (cursor, signal) => rows.awaitCursor(cursor, signal), live: rows },
  };
}
