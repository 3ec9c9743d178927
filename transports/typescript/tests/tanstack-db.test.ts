import { createCollection } from "@tanstack/db";
import { expect, it } from "vitest";

import { connect } from "../src/index.js";
import { liveCollectionOptions } from "../src/tanstack-db.js";
import { options } from "./support/collect.js";
import type { Row } from "./support/live-rows.js";
import { until } from "./support/program.js";
import { cursorAt, Scripted } from "./support/scripted.js";

it("keeps a collection as a live query", async () => {
  const scripted = await Scripted.start();
  scripted.board.set(1, [{ flight: "UA1", gate: "A1" }, { flight: "UA2", gate: "A2" }]);
  const api = connect(scripted.origin, options());
  const liveOptions = liveCollectionOptions<Row>(api, { query: "board", getKey: ({ flight }) => flight });
  const flights = createCollection({
    ...liveOptions,
    onUpdate: async () => {
      const { cursor } = await api.post("/gate", {});
      if (cursor) await liveOptions.utils.awaitCursor(cursor);
    },
  });
  await flights.preload();
  const rows = () => [...flights.values()].map(({ flight, gate }) => `${flight} ${gate}`).sort();
  expect(rows()).toEqual(["UA1 A1", "UA2 A2"]);
  scripted.board.set(2, [{ flight: "UA1", gate: "B1" }, { flight: "UA3", gate: "A3" }]);
  await until("the change is there", () => rows().join() === "UA1 B1,UA3 A3");

  scripted.onPost = () => ({ status: 204, headers: { "Feed-Cursor": cursorAt(3) } });
  const update = flights.update("UA1", (row) => void (row.gate = "Z9"));
  expect(rows()).toEqual(["UA1 Z9", "UA3 A3"]);
  scripted.board.set(3, [{ flight: "UA1", gate: "Z9" }, { flight: "UA3", gate: "A3" }]);
  await update.isPersisted.promise;
  expect(rows()).toEqual(["UA1 Z9", "UA3 A3"]);
  await flights.cleanup();
  await until("nothing is left", () => scripted.open === 0);
});
