import { type Accessor, createEffect, createMemo, createSignal, on, onCleanup, untrack } from "solid-js";

/**
 * Follows a value at intervals of at least `pause` milliseconds, so that it can be read and drawn in time, and at once
 * when `atOnce` changes.
 */
export function createPaced<T>(value: Accessor<T>, pause: Accessor<number>, atOnce: Accessor<unknown> = () => 0): Accessor<T> {
  const [shown, setShown] = createSignal(untrack(value));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let shownAt = performance.now();
  const show = () => {
    clearTimeout(timer);
    timer = undefined;
    shownAt = performance.now();
    setShown(() => untrack(value));
  };
  createEffect(on(value, () => (timer ??= setTimeout(show, shownAt + pause() - performance.now()))));
  createEffect(on(createMemo(atOnce), show, { defer: true }));
  onCleanup(() => clearTimeout(timer));
  return shown;
}
