import { createLive } from "downlink/solid";
import { createSignal, Show } from "solid-js";

import { useDeck } from "../deck";
import { AIRLINES } from "../model/airlines";
import type { PunctualityRow, RouteRow } from "../types.gen";
import { BarChart } from "./bar-chart";
import { ButtonGroup } from "./button-group";

const TABS = [
  { value: "punctuality", name: "Punctuality" },
  { value: "routes", name: "Routes" },
] as const;
const MAX_LINES = 6;

export function Statistics() {
  const [tab, setTab] = createSignal<"punctuality" | "routes">("punctuality");
  return (
    <section class="panel statistics" aria-labelledby="statistics-title">
      <h2 id="statistics-title">Statistics</h2>
      <ButtonGroup label="Statistics" value={tab()} options={TABS} onChoose={setTab} />
      <Show when={tab() === "punctuality"} fallback={<Routes />}>
        <Punctuality />
      </Show>
    </section>
  );
}

function Punctuality() {
  const { api, parameters } = useDeck();
  const airlines = createLive<PunctualityRow>(api, "punctuality", parameters);
  const bars = () =>
    airlines.rows.filter(({ departed }) => departed > 0).slice(0, MAX_LINES).map(({ airline, departed, onTime, cancelled }) => ({
      name: AIRLINES[airline] ?? airline,
      parts: [
        { kind: "on-time", count: onTime },
        { kind: "late", count: departed - onTime },
        { kind: "cancelled", count: cancelled },
      ],
      of: departed + cancelled,
      text: `${Math.round((100 * onTime) / departed)} % of ${departed.toLocaleString("en")}`,
    }));
  return (
    <BarChart class="punctuality" caption="Departures less than 15 minutes late, by airline" columns={["Airline", "On time"]} bars={bars()} empty="No departures yet.">
      <p class="legend" aria-hidden="true">
        <span class="on-time">less than 15 min late</span> <span class="late">later</span> <span class="cancelled">cancelled</span>
      </p>
    </BarChart>
  );
}

function Routes() {
  const { api, parameters } = useDeck();
  const routes = createLive<RouteRow>(api, "routes", parameters);
  const bars = () =>
    routes.rows.slice(0, MAX_LINES).map(({ from, city, departed }) => ({
      name: `${from} ${city}`,
      parts: [{ kind: "departed", count: departed }],
      of: routes.rows[0]?.departed ?? departed,
      text: departed.toLocaleString("en"),
    }));
  return <BarChart class="routes" caption="Departures by route" columns={["Route", "Departures"]} bars={bars()} empty="No departures yet." />;
}
