import { For, type JSX, Show } from "solid-js";

interface Option<T> {
  value: T;
  name: string;
  /** The rest of the name, where there is room. */
  more?: string;
  count?: number;
}

/** Buttons of which one is pressed. */
export function ButtonGroup<T extends string>(props: {
  label: string;
  id?: string;
  class?: string;
  value: T;
  options: readonly Option<T>[];
  onChoose: (value: T) => void;
}): JSX.Element {
  return (
    <div class={props.class ?? "tabs"} id={props.id} role="group" aria-label={props.label}>
      <For each={props.options}>
        {(option) => (
          <button type="button" aria-pressed={option.value === props.value} onClick={() => props.onChoose(option.value)}>
            {option.name}
            <Show when={option.more}>{(more) => <span> {more()}</span>}</Show>
          </button>
        )}
      </For>
    </div>
  );
}
