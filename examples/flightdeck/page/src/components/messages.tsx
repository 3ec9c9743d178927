import { createEffect, createSignal, on, onCleanup, Show } from "solid-js";

import { useDeck } from "../deck";

const SHOWN = 5000;

/** Something that the user must not miss. */
export function Banner() {
  const { banner, setBanner } = useDeck();
  return (
    <div role="alert">
      <Show when={banner()}>
        <div class="banner" id="banner">
          <p>{banner()}</p>
          <button type="button" onClick={() => setBanner("")}>Close</button>
        </div>
      </Show>
    </div>
  );
}

/** The outcome of what the user did, for some seconds. */
export function Toast() {
  const { message } = useDeck();
  const [isShown, setShown] = createSignal(false);
  createEffect(
    on(
      message,
      () => {
        setShown(true);
        const timer = setTimeout(() => setShown(false), SHOWN);
        onCleanup(() => clearTimeout(timer));
      },
      { defer: true },
    ),
  );
  return (
    <output class="toast" classList={{ shown: isShown() }} role="status">
      {message()}
    </output>
  );
}
