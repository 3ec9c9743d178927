import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { expect, it, onTestFinished } from "vitest";

import { connect } from "../src/index.js";
import { useFold, useLive } from "../src/react.js";
import { options } from "./support/collect.js";
import { dom } from "./support/dom.js";
import type { Row } from "./support/live-rows.js";
import { until } from "./support/program.js";
import { Scripted } from "./support/scripted.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = false;

type CountEvent = { Counted: { n: number } };

it("renders the rows of a live query and a fold", async () => {
  const scripted = await Scripted.start();
  scripted.append(1, 2, 3);
  scripted.board.set(1, [{ flight: "UA1", gate: "A1" }]);
  const api = connect(scripted.origin, options());
  const Board = () => {
    const board = useLive<Row>(api, "board", { airport: "EWR" });
    const { value } = useFold<CountEvent, number>(api, { initial: 0, evolve: (sum, event) => sum + event.data.n, onReset: "restart" });
    return createElement("p", null, board.ready ? board.rows.map(({ flight, gate }) => `${flight} ${gate} `).join("") : board.status.state, String(value));
  };
  const element = dom();
  const root = createRoot(element);
  onTestFinished(() => root.unmount());
  root.render(createElement(Board));
  await until("both are there", () => element.textContent === "UA1 A1 6");
  scripted.append(4);
  scripted.board.set(2, [{ flight: "UA1", gate: "B1" }]);
  await until("the changes are there", () => element.textContent === "UA1 B1 10");
  root.unmount();
  await until("nothing is left", () => scripted.open === 0);
});

it("shows what it was given on a server, without a connection", () => {
  const api = connect("/api", options());
  const Board = () => {
    const board = useLive<Row>(api, "board", {}, { initial: [{ flight: "UA1", gate: "A1" }] });
    return createElement("p", null, `${board.rows[0]?.flight} ${board.ready}`);
  };
  expect(renderToString(createElement(Board))).toBe("<p>UA1 true</p>");
});
