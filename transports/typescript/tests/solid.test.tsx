import { createEffect, createSignal, For, Show } from "solid-js";
import { render } from "solid-js/web";
import { expect, it, onTestFinished } from "vitest";

import { connect, type Events } from "../src/index.js";
import { createFeed, createFold, createLive, type Rows } from "../src/solid.js";
import { options } from "./support/collect.js";
import { dom } from "./support/dom.js";
import type { Row } from "./support/live-rows.js";
import { until } from "./support/program.js";
import { cursorAt, problem, Scripted } from "./support/scripted.js";

type CountEvent = { Counted: { n: number; text: string } };

it("renders the rows of a live query, and only what has changed again", async () => {
  const scripted = await Scripted.start();
  const api = connect(scripted.origin, options());
  const [airport, setAirport] = createSignal("EWR");
  let rendered = 0;
  let board!: Rows<Row>;
  const root = dom();
  const Board = () => {
    board = createLive<Row>(api, "board", () => ({ airport: airport() }));
    const flight = (row: Row) => {
      rendered++;
      return <li>{`${row.flight} `}{row.gate}</li>;
    };
    return <Show when={board.ready} fallback={<p>{board.state}</p>}><For each={board.rows}>{flight}</For></Show>;
  };
  const dispose = render(() => <Board />, root);
  onTestFinished(dispose);
  expect(root.innerHTML).toBe("<p>connecting</p>");
  scripted.board.set(1, [{ flight: "UA1", gate: "A1" }, { flight: "UA2", gate: "A2" }]);
  await until("the rows are there", () => root.textContent === "UA1 A1UA2 A2");
  const nodes = [...root.children];
  scripted.board.set(2, [{ flight: "UA2", gate: "B2" }, { flight: "UA1", gate: "A1" }]);
  await until("the change is there", () => root.textContent === "UA2 B2UA1 A1");
  expect([root.children[0] === nodes[1], root.children[1] === nodes[0], rendered]).toEqual([true, true, 2]);

  scripted.onPost = () => problem(409, "departed");
  const refused = board.mutate({ flight: "UA1", gate: "Z9" }, () => api.post("/gate", {}));
  expect(root.textContent).toBe("UA2 B2UA1 Z9");
  await expect(refused).rejects.toMatchObject({ code: "departed" });
  expect(root.textContent).toBe("UA2 B2UA1 A1");
  scripted.onPost = () => ({ status: 204, headers: { "Feed-Cursor": cursorAt(3) } });
  await board.mutate({ flight: "UA1", gate: "C3" }, () => api.post("/gate", {}));
  expect(root.textContent).toBe("UA2 B2UA1 C3");
  scripted.board.set(3, [{ flight: "UA2", gate: "B2" }, { flight: "UA1", gate: "C3" }]);
  await until("the query has passed it", () => board.cursor === cursorAt(3));
  expect([root.textContent, rendered]).toEqual(["UA2 B2UA1 C3", 2]);

  setAirport("IAH");
  await until("it asks for another airport", () => scripted.board.watchers === 1 && scripted.open === 1);
  dispose();
  await until("nothing is left", () => scripted.open === 0);
});

it("folds events, anew when the filter changes", async () => {
  const scripted = await Scripted.start();
  scripted.append(1, 2, 3);
  const api = connect(scripted.origin, options());
  const [stream, setStream] = createSignal("numbers");
  const root = dom();
  const evolve = (sum: number, event: Events<CountEvent>) => sum + event.data.n;
  const Sum = () => {
    const sum = createFold<CountEvent, number>(api, { filter: () => ({ stream: stream() }), after: "last:60", initial: 0, evolve, onReset: "restart" });
    return <p>{sum()} {sum.state}</p>;
  };
  onTestFinished(render(() => <Sum />, root));
  await until("the sum is there", () => root.textContent === "6 live");
  scripted.append(4);
  await until("it grows", () => root.textContent === "10 live");
  setStream("others");
  await until("it begins anew", () => root.textContent === "10 live" && scripted.open === 1);
});

it("follows a feed while the component is there", async () => {
  const scripted = await Scripted.start();
  scripted.append(1, 2);
  const seen: number[] = [];
  const root = dom();
  const Log = () => {
    const feed = createFeed<CountEvent>(connect(scripted.origin, options()), { onReset: "restart", onEvents: (events) => void seen.push(...events.map(({ data }) => data.n)) });
    return <p>{feed.state} {feed.cursor}</p>;
  };
  const dispose = render(() => <Log />, root);
  await until("it is live", () => root.textContent === `live ${cursorAt(2)}`);
  expect(seen).toEqual([1, 2]);
  dispose();
  await until("nothing is left", () => scripted.open === 0);
});

it("shows rows together with their cursor", async () => {
  const scripted = await Scripted.start();
  const seen: string[] = [];
  const Board = () => {
    const board = createLive<Row>(connect(scripted.origin, options()), "board");
    createEffect(() => board.ready && seen.push(`${board.rows[0]?.gate} ${board.cursor}`));
    return <p>{board.rows[0]?.gate}</p>;
  };
  const root = dom();
  onTestFinished(render(() => <Board />, root));
  for (const at of [1, 2]) {
    scripted.board.set(at, [{ flight: "UA1", gate: `A${at}` }]);
    await until("the rows are there", () => root.textContent === `A${at}`);
  }
  expect([...new Set(seen)]).toEqual([`A1 ${cursorAt(1)}`, `A2 ${cursorAt(2)}`]);
});

it("goes on with another Api: events at the cursor, rows as they are", async () => {
  const scripted = await Scripted.start();
  scripted.append(1, 2);
  scripted.board.set(1, [{ flight: "UA1", gate: "A1" }]);
  const [api, setApi] = createSignal(connect(scripted.origin, options({ transports: ["websocket"] })));
  const seen: number[] = [];
  const shown = new Set<string>();
  let transport = "";
  const Page = () => {
    const board = createLive<Row>(api, "board");
    createFeed<CountEvent>(api, {
      filter: () => ({ stream: "numbers" }),
      onReset: "restart",
      onEvents: (events) => void seen.push(...events.map(({ data }) => data.n)),
      onStatus: (status) => (transport = (status.state === "live" && status.transport) || ""),
    });
    createEffect(() => shown.add(board.rows.map(({ gate }) => gate).join()));
    return <p>{board.rows.length}</p>;
  };
  onTestFinished(render(() => <Page />, dom()));
  await until("it is live", () => transport === "websocket" && shown.has("A1"));
  setApi(connect(scripted.origin, options({ transports: ["sse"] })));
  await until("it is live over another transport", () => transport === "sse");
  scripted.append(3);
  scripted.board.set(3, [{ flight: "UA1", gate: "B1" }]);
  await until("both go on", () => seen.length >= 3 && shown.has("B1"));
  expect([seen, [...shown]]).toEqual([[1, 2, 3], ["", "A1", "B1"]]);
});
