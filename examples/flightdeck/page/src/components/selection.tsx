import { For } from "solid-js";

import { useDeck } from "../deck";
import { AIRLINES } from "../model/airlines";
import { ButtonGroup } from "./button-group";

const AIRPORTS = [
  { value: "", name: "All", more: "airports" },
  { value: "EWR", name: "EWR", more: "Newark" },
  { value: "JFK", name: "JFK", more: "Kennedy" },
  { value: "LGA", name: "LGA", more: "LaGuardia" },
];

/** Which flights the page shows. */
export function Selection() {
  const { choice, setChoice } = useDeck();
  return (
    <div class="bar">
      <ButtonGroup label="Airport" value={choice.airport} options={AIRPORTS} onChoose={(airport) => setChoice({ airport })} />
      <label class="choice">
        Airline
        <select onChange={(event) => setChoice({ airline: event.target.value })}>
          <option value="">All airlines</option>
          <For each={Object.entries(AIRLINES)}>
            {([code, name]) => <option value={code} selected={code === choice.airline}>{code} {name}</option>}
          </For>
        </select>
      </label>
    </div>
  );
}
