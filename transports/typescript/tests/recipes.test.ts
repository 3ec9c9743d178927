import { derived, get } from "svelte/store";
import { expect, it } from "vitest";
import { effectScope, watchEffect } from "vue";

import { useLive } from "../examples/recipes/vue.js";
import { connect } from "../src/index.js";
import { live } from "../src/live.js";
import { options } from "./support/collect.js";
import type { Row } from "./support/live-rows.js";
import { until } from "./support/program.js";
import { Scripted } from "./support/scripted.js";

async function board() {
  const scripted = await Scripted.start();
  scripted.board.set(1, [{ flight: "UA1", gate: "A1" }]);
  return { scripted, query: live<Row>(connect(scripted.origin, options()), "board") };
}

it("is a store for Svelte", async () => {
  const { scripted, query } = await board();
  const gates = derived(query, ({ rows }) => rows.map(({ gate }) => gate).join());
  const shown: string[] = [];
  const leave = gates.subscribe((text) => void shown.push(text));
  await until("the rows are there", () => shown.at(-1) === "A1");
  scripted.board.set(2, [{ flight: "UA1", gate: "B2" }]);
  await until("the change is there", () => shown.at(-1) === "B2");
  expect(get(gates)).toBe("B2");
  leave();
  await until("nothing is left", () => scripted.open === 0);
});

it("is a ref for Vue", async () => {
  const { scripted, query } = await board();
  const shown: string[] = [];
  const scope = effectScope();
  scope.run(() => {
    const snapshot = useLive(query);
    watchEffect(() => void shown.push(snapshot.value.rows.map(({ gate }) => gate).join()), { flush: "sync" });
  });
  await until("the rows are there", () => shown.at(-1) === "A1");
  scripted.board.set(2, [{ flight: "UA1", gate: "B2" }]);
  await until("the change is there", () => shown.at(-1) === "B2");
  scope.stop();
  await until("nothing is left", () => scripted.open === 0);
});
