import type { CursorStore } from "./types.js";

/** Keeps the cursor in `localStorage`, or in another storage of the page. */
export function webStorage(key: string, storage?: Pick<Storage, "getItem" | "setItem" | "removeItem">): CursorStore {
  const place = () => storage ?? localStorage;
  return {
    load: () => place().getItem(key),
    save: (cursor) => place().setItem(key, cursor),
    clear: () => place().removeItem(key),
  };
}
