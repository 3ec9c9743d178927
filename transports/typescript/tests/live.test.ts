import { describe, expect, it, vi } from "vitest";

import { connect, type ConnectOptions, DownlinkError } from "../src/index.js";
import { type Live, live, type Snapshot } from "../src/live.js";
import { options, range, TRANSPORTS } from "./support/collect.js";
import type { Row } from "./support/live-rows.js";
import { until } from "./support/program.js";
import { cursorAt, problem, Scripted } from "./support/scripted.js";

const row = (flight: string, gate = "A1"): Row => ({ flight, gate });

async function follow(more: ConnectOptions = {}) {
  const scripted = await Scripted.start();
  const api = connect(scripted.origin, options({ pollWait: 1, ...more }));
  const board: Live<Row> = live<Row>(api, "board", { airport: "EWR", day: undefined });
  const snapshots: Snapshot<Row>[] = [];
  const leave = board.subscribe((snapshot) => void snapshots.push(snapshot));
  const shows = (rows: Row[]) => until(`the board shows ${JSON.stringify(rows)}`, () => JSON.stringify(board.snapshot.rows) === JSON.stringify(rows));
  return { scripted, api, board, snapshots, leave, shows };
}

describe.each(TRANSPORTS)("a live query over %s", (transport) => {
  it("keeps its rows, and those that have not changed stay the same objects", async () => {
    const { scripted, board, shows, snapshots } = await follow({ transports: [transport] });
    scripted.board.set(1, [row("UA1"), row("UA2"), row("UA3")]);
    await shows([row("UA1"), row("UA2"), row("UA3")]);
    const [first] = board.snapshot.rows;
    scripted.board.set(2, [row("UA3"), row("UA1"), row("UA4"), row("UA2", "B2")]);
    await shows([row("UA3"), row("UA1"), row("UA4"), row("UA2", "B2")]);
    expect(board.snapshot.rows[1]).toBe(first);
    scripted.board.set(3, [row("UA4")]);
    await shows([row("UA4")]);
    await until("it is live", () => board.snapshot.status.state === "live");
    expect(board.snapshot).toMatchObject({ ready: true, key: "flight", cursor: cursorAt(3) });
    expect(snapshots[0]).toMatchObject({ ready: false, status: { state: "connecting" } });
    expect(scripted.requests.every((path) => !path.includes("day"))).toBe(true);
  });

  it("resumes with what it has: the rows come again only if they are others", async () => {
    const { scripted, board, shows } = await follow({ transports: [transport] });
    scripted.board.set(1, [row("UA1")]);
    await shows([row("UA1")]);
    await until("it is live", () => board.snapshot.status.state === "live");
    scripted.sent = [];
    scripted.cut();
    await until("it has resumed", () => scripted.sent.length > 0 && board.snapshot.status.state === "live");
    expect(new Set(scripted.sent)).toEqual(new Set(["checkpoint"]));
    for (const n of range(2, 20)) {
      scripted.cut();
      scripted.board.set(n, range(1, n).map((k) => row(`UA${k}`, `C${n}`)));
    }
    await shows(range(1, 20).map((k) => row(`UA${k}`, "C20")));
  });

  it.each(["rows", "checkpoint"])("loads the rows again when the frame '%s' is one of others", async (frame) => {
    const { scripted, board, shows } = await follow({ transports: [transport] });
    scripted.board.set(1, [row("UA1")]);
    await shows([row("UA1")]);
    const { frameAfter } = scripted.board;
    scripted.board.frameAfter = () => ({ frame, base: "0123456789abcdef", token: `${cursorAt(2)}~0123456789abcdef`, cursor: cursorAt(2), put: [], del: [] }) as { frame: string };
    scripted.board.set(2, [row("UA2")]);
    await until("it starts anew", () => board.snapshot.status.state === "reconnecting");
    scripted.board.frameAfter = frameAfter;
    await shows([row("UA2")]);
  });

  it("is connected while there is a listener", async () => {
    const { scripted, board, leave, shows } = await follow({ transports: [transport] });
    scripted.board.set(1, [row("UA1")]);
    await shows([row("UA1")]);
    await until("the server has it", () => scripted.board.watchers === 1);
    leave();
    const again = board.subscribe(() => {});
    await until("the server still has it", () => scripted.board.watchers === 1);
    again();
    await until("the server has none", () => scripted.board.watchers === 0);
    scripted.board.set(2, [row("UA2")]);
    const last = board.subscribe(() => {});
    await shows([row("UA2")]);
    last();
  });
});

describe("a mutation", () => {
  it("shows its effect until the query has passed the answer's cursor", async () => {
    const { scripted, api, board, shows, snapshots } = await follow();
    scripted.board.set(1, [row("UA1"), row("UA2")]);
    await shows([row("UA1"), row("UA2")]);
    scripted.onPost = (body) => {
      expect(body).toEqual({ gate: "Z9" });
      return { status: 200, headers: { "Feed-Cursor": cursorAt(5), "Content-Type": "application/json" }, body: "{}" };
    };
    const done = board.mutate({ flight: "UA1", gate: "Z9" }, () => api.post("/gate", { gate: "Z9" }));
    expect(board.snapshot.rows).toEqual([row("UA1", "Z9"), row("UA2")]);
    expect((await done).cursor).toBe(cursorAt(5));
    // Something else happens before the model has it.
    scripted.board.set(4, [row("UA1"), row("UA2", "B7")]);
    await shows([row("UA1", "Z9"), row("UA2", "B7")]);
    scripted.board.set(5, [row("UA1", "Z9"), row("UA2", "B7")]);
    await board.awaitCursor(cursorAt(5));
    scripted.board.set(6, [row("UA1", "C3"), row("UA2", "B7")]);
    await shows([row("UA1", "C3"), row("UA2", "B7")]);
    // It never went back in between.
    const gates = snapshots.map(({ rows }) => rows.find(({ flight }) => flight === "UA1")?.gate).filter(Boolean);
    expect([...new Set(gates)]).toEqual(["A1", "Z9", "C3"]);
  });

  it("is undone by a refusal", async () => {
    const { scripted, api, board, shows } = await follow();
    scripted.board.set(1, [row("UA1")]);
    await shows([row("UA1")]);
    scripted.onPost = () => problem(409, "already-departed");
    const done = board.mutate((rows) => [...rows, row("UA2")], () => api.post("/flights", {}));
    expect(board.snapshot.rows).toHaveLength(2);
    const error = await done.catch((error: unknown) => error);
    expect(error).toBeInstanceOf(DownlinkError);
    expect((error as DownlinkError).code).toBe("already-departed");
    expect(board.snapshot.rows).toEqual([row("UA1")]);
  });
});

it("posts a command once more with the same id when the answer is lost", async () => {
  const { scripted, api } = await follow();
  const ids: unknown[] = [];
  scripted.onPost = (_, request) => {
    ids.push(request.headers["idempotency-key"]);
    if (ids.length === 1) scripted.cut();
    if (ids.length === 2) return { ...problem(503, "busy"), headers: { "Retry-After": "0", "Content-Type": "application/problem+json" } };
    return { status: 201, headers: { "Content-Type": "application/json" }, body: '{"ok":true}' };
  };
  const { data, id } = await api.post<{ ok: boolean }>("/flights", {});
  expect(data).toEqual({ ok: true });
  expect(ids).toEqual([id, id, id]);
  scripted.onPost = () => ({ status: 500, headers: { "Content-Type": "application/problem+json" }, body: '{"type":"urn:downlink:problem:internal","code":"internal","retryable":false}' });
  await expect(api.post("/flights", {})).rejects.toMatchObject({ code: "internal", status: 500 });
  const aborted = api.post("/flights", {}, { signal: AbortSignal.abort(new Error("no more")) });
  await expect(aborted).rejects.toThrow("no more");
});

it("waits for a cursor until it is aborted", async () => {
  const { board, scripted } = await follow();
  const controller = new AbortController();
  const waiting = board.awaitCursor(cursorAt(9), controller.signal);
  controller.abort(new Error("left"));
  await expect(waiting).rejects.toThrow("left");
  const done = vi.fn();
  const passed = board.awaitCursor(cursorAt(3)).then(done);
  scripted.board.set(2, []);
  await until("the query is at 2", () => board.snapshot.cursor === cursorAt(2));
  expect(done).not.toHaveBeenCalled();
  scripted.board.set(3, []);
  await passed;
});
