import type { Live, Snapshot } from "downlink/live";
import { onScopeDispose, type ShallowRef, shallowRef } from "vue";

// ANCHOR: vue
/** The rows of a live query while the component is there. */
export function useLive<Row extends object>(query: Live<Row>): ShallowRef<Snapshot<Row>> {
  const snapshot = shallowRef(query.snapshot);
  onScopeDispose(query.subscribe((now) => (snapshot.value = now)));
  return snapshot;
}
// ANCHOR_END: vue
