import { describe, expect, it } from "vitest";

import { connect } from "../src/index.js";
import { collect, options, range, TRANSPORTS } from "./support/collect.js";
import { Program, until } from "./support/program.js";

describe.each(TRANSPORTS)("a real server over %s", (transport) => {
  it("delivers what is there and what comes, in order and once", async () => {
    const program = await Program.start();
    await program.append(1, 2500);
    const { numbers, state, statuses } = collect(program.origin, { transports: [transport] });
    await until("the feed is live", () => state() === "live");
    expect(numbers).toEqual(range(1, 2500));
    await program.append(2501, 2600);
    await until("the new events are there", () => numbers.length >= 2600);
    expect(numbers).toEqual(range(1, 2600));
    expect(statuses.map((status) => status.state)).toEqual(["connecting", "catching-up", "live"]);
    expect(statuses.at(-1)?.transport).toBe(transport);
  });

  it("survives kill -9, again and again, without a gap or a repeat", async () => {
    const program = await Program.start();
    const { numbers, state, statuses } = collect(program.origin, { transports: [transport], pollWait: 2 });
    for (let round = 0; round < 3; round++) {
      await program.append(round * 100 + 1, round * 100 + 50);
      await until("the feed is live", () => state() === "live" && numbers.length > round * 100);
      await program.kill();
      await until("the end is noticed", () => state() === "reconnecting");
      await program.start();
      await program.append(round * 100 + 51, round * 100 + 100);
    }
    await until("all are there", () => numbers.length >= 300 && state() === "live");
    expect(numbers).toEqual(range(1, 300));
    expect(statuses.some(({ reason }) => reason)).toBe(true);
  });

  it("shows a reset, and restarts with the log that is there now", async () => {
    const program = await Program.start();
    await program.append(1, 20);
    const { numbers, statuses, state } = collect(program.origin, { transports: [transport], pollWait: 2 }, {
      onReset: ({ reason }) => {
        expect(reason).toMatch(/cursor-ahead|history-changed/);
        numbers.length = 0;
        return "start";
      },
    });
    await until("the feed is live", () => state() === "live");
    await program.replaceLog();
    await program.append(100, 105);
    await until("the other log is there", () => numbers.includes(105) && state() === "live");
    expect(numbers).toEqual(range(100, 105));
    expect(statuses.map((status) => status.state)).toContain("reset");
  });

  it("stops at a reset if it is told nothing", async () => {
    const program = await Program.start();
    await program.append(1, 20);
    const { feed } = collect(program.origin, { transports: [transport] }, { after: "000000000000ffff-12345678", onReset: () => {} });
    const status = await feed.done;
    expect(status.state).toBe("reset");
    expect(status.error?.code).toBe("cursor-ahead");
  });

  it("iterates, and a stored cursor resumes after the event that was handled", async () => {
    const program = await Program.start();
    await program.append(1, 30);
    const stored = new Map<string, string>();
    const store = { load: () => stored.get("c"), save: (cursor: string) => void stored.set("c", cursor), clear: () => void stored.clear() };
    const api = connect(program.origin, options({ transports: [transport] }));
    const seen: number[] = [];
    for await (const event of api.feed<{ Counted: { n: number } }>({ store, onReset: "restart" })) {
      seen.push(event.data.n);
      if (event.data.n === 10) break;
    }
    // The tenth was not handled to its end.
    for await (const event of api.feed<{ Counted: { n: number } }>({ store, onReset: "restart" })) {
      seen.push(event.data.n);
      if (event.data.n === 30) break;
    }
    expect(seen).toEqual([...range(1, 10), ...range(10, 30)]);
  });

  it("begins where it is told, and filters", async () => {
    const program = await Program.start();
    await program.append(1, 100);
    await program.append(1000, 1009, "others");
    const last = collect(program.origin, { transports: [transport] }, { after: "last:5", filter: { stream: "numbers" } });
    const now = collect(program.origin, { transports: [transport] }, { after: "now", filter: { tag: ["number"], type_prefix: "Cou" } });
    await until("both are live", () => last.state() === "live" && now.state() === "live");
    await program.append(101, 103);
    await until("both have the new ones", () => last.numbers.length >= 8 && now.numbers.length >= 3);
    expect(last.numbers).toEqual(range(96, 103));
    expect(now.numbers).toEqual(range(101, 103));
  });

  it("ends with the feed's own refusal", async () => {
    const program = await Program.start();
    const { feed } = collect(program.origin, { transports: [transport] }, { after: "nonsense" });
    const status = await feed.done;
    expect([status.state, status.error?.code]).toEqual(["closed", "bad-cursor"]);
  });
});

it("falls back and upgrades on one cursor", async () => {
  const program = await Program.start();
  const blocked = { ws: true };
  const { WebSocket: Real } = options() as { WebSocket: new (url: string, protocol?: string) => WebSocket };
  const Sometimes = class {
    constructor(url: string, protocol?: string) {
      return new Real(blocked.ws ? url.replace("/feed/ws", "/nothing") : url, protocol) as never;
    }
  };
  const { numbers, statuses, state } = collect(program.origin, { WebSocket: Sometimes as never, upgradeAfter: 50 });
  await program.append(1, 50);
  await until("it is live over SSE", () => state() === "live" && statuses.at(-1)?.transport === "sse");
  blocked.ws = false;
  await until("it is live over a WebSocket", () => state() === "live" && statuses.at(-1)?.transport === "websocket");
  await program.append(51, 100);
  await until("all are there", () => numbers.length >= 100);
  expect(numbers).toEqual(range(1, 100));
});
