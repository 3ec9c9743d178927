import { createFold } from "downlink/solid";
import { createSignal, For, Show } from "solid-js";

import { useDeck } from "../deck";
import { ofType } from "../model/choice";
import { type DeckEvent, happened, summary, title, TYPES } from "../model/deck-event";
import { append } from "../model/events";
import { createPaced } from "../model/paced";
import { short } from "../model/time";
import type { FlightEvent, ReplayEvent } from "../types.gen";

const PAUSE = 250;

export function EventLog() {
  const { choice, setChoice, events } = useDeck();
  return (
    <section class="panel log" aria-labelledby="log-title">
      <h2 id="log-title">Event log</h2>
      <label class="choice">
        Type
        <select onChange={(event) => setChoice({ type: event.target.value })}>
          <option value="">All types</option>
          <For each={TYPES}>{(type) => <option value={type} selected={type === choice.type}>{type}</option>}</For>
          <option value="Replay*" selected={choice.type === "Replay*"}>Replay…</option>
        </select>
      </label>
      <Show when={choice.type} keyed fallback={<Entries events={events.entries()} />}>
        {(type) => <EntriesOfType type={type} />}
      </Show>
    </section>
  );
}

// ANCHOR: fold
/** One type has a feed of its own, which begins with the newest of that type. */
function EntriesOfType(props: { type: string }) {
  const { api, filter } = useDeck();
  const log = createFold<FlightEvent | ReplayEvent, readonly DeckEvent[]>(api, {
    filter: () => ({ ...filter(), ...ofType(props.type) }),
    after: "last:60",
    initial: [],
    evolve: append,
    onReset: "restart",
  });
  return <Entries events={log()} />;
}
// ANCHOR_END: fold

/** Events, newest first. */
function Entries(props: { events: readonly DeckEvent[] }) {
  const shown = createPaced(() => props.events, () => PAUSE);
  return (
    <ol id="log" tabindex="0" aria-label="Events, newest first">
      <For each={shown().toReversed()}>{(event) => <Entry event={event} />}</For>
    </ol>
  );
}

function Entry(props: { event: DeckEvent }) {
  const [isOpen, setOpen] = createSignal(false);
  return (
    <li>
      <details data-type={props.event.type} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span class="when">{short(happened(props.event))}</span>
          <span class="kind">{title(props.event)}</span>
          <span class="what">{props.event.stream.replace(/^flight-/, "")} {summary(props.event)}</span>
        </summary>
        <Show when={isOpen()}><pre tabindex="0">{JSON.stringify(props.event, null, 2)}</pre></Show>
      </details>
    </li>
  );
}
