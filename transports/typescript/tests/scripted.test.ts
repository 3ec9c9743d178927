import { describe, expect, it, vi } from "vitest";

import { connect, DownlinkError, type Filter, type Status, type TokenReason } from "../src/index.js";
import { collect, options, range, TRANSPORTS } from "./support/collect.js";
import { pageEvents } from "./support/page-events.js";
import { until } from "./support/program.js";
import { cursorAt, cutter, problem, Scripted } from "./support/scripted.js";

/** A number that has not changed for a while. */
async function settled(value: () => number): Promise<number> {
  for (;;) {
    const before = value();
    await new Promise((done) => setTimeout(done, 300));
    if (value() === before) return before;
  }
}

describe.each(TRANSPORTS)("over %s", (transport) => {
  it("resumes exactly when streams are cut after every byte", async () => {
    const scripted = await Scripted.start();
    scripted.append(1, 2);
    // Longer than what is sent at first, so that the last ones cut nothing.
    const cut = await cutter(scripted.origin, range(1, 1400));
    const { numbers, state } = collect(cut.origin, { transports: [transport], delay: { min: 1, max: 2, serverMax: 2 }, pollWait: 1 });
    await until("what is there was sent at once", () => state() === "live" && numbers.length >= 2, 120_000);
    const cuts = 1400 - cut.left();
    expect(cuts).toBeGreaterThan(400);
    scripted.append(3, 4);
    await until("the rest is there", () => state() === "live" && numbers.length >= 4, 120_000);
    expect(numbers).toEqual(range(1, 4));
  }, 250_000);

  it("resumes exactly when every stream is cut after two more events", async () => {
    const scripted = await Scripted.start();
    const { numbers, state } = collect(scripted.origin, { transports: [transport] });
    for (let n = 1; n <= 60; n += 2) {
      scripted.append(n, n + 1);
      await until(`${n + 1} is there`, () => numbers.length >= n + 1 && state() === "live");
      scripted.cut();
    }
    expect(numbers).toEqual(range(1, 60));
    // It has resumed where it was, and not relied on leaving out what comes twice.
    const later = scripted.afters.slice(1);
    expect(later).toEqual(later.toSorted());
    expect(later.at(-1)?.slice(0, 16)).toBe(cursorAt(later.at(-1) === cursorAt(60) ? 60 : 58).slice(0, 16));
  });

  it("hands out each event once, also if a server sends some again", async () => {
    const scripted = await Scripted.start();
    scripted.rewind = 3;
    const { numbers, state } = collect(scripted.origin, { transports: [transport], pollWait: 1 });
    for (let n = 1; n <= 20; n += 4) {
      scripted.append(...range(n, n + 3));
      await until(`${n + 3} is there`, () => numbers.length >= n + 3 && state() === "live");
      scripted.cut();
    }
    expect(numbers).toEqual(range(1, 20));
  });

  it("renews a token or a ticket that expires in mid-stream", async () => {
    const scripted = await Scripted.start();
    let valid = "first";
    const reasons: TokenReason[] = [];
    const secret = (reason: TokenReason) => {
      reasons.push(reason);
      if (reason === "renew") valid = "second";
      return valid === "second" ? "second" : "first";
    };
    let accepted = "first";
    scripted.refuse = (request) => {
      const ticket = new URL(request.url ?? "", "http://x").searchParams.get("ticket");
      const given = transport === "websocket" ? ticket : request.headers.authorization?.slice(7);
      return given === accepted ? undefined : problem(401, "unauthenticated");
    };
    scripted.append(1, 2);
    const { numbers, state, feed } = collect(scripted.origin, { transports: [transport], token: secret, ticket: secret, pollWait: 1 });
    await until("it is live", () => state() === "live");
    accepted = "second";
    if (transport === "websocket") valid = "second";
    scripted.append(3, 4);
    scripted.cut();
    await until("the rest is there", () => numbers.length >= 4 && state() === "live");
    expect(numbers).toEqual(range(1, 4));
    expect(feed.status.state).toBe("live");
    if (transport !== "websocket") expect(reasons).toContain("renew");
  });

  it("ends when a new token is refused, too", async () => {
    if (transport === "websocket") return;
    const scripted = await Scripted.start();
    scripted.refuse = () => problem(401, "unauthenticated");
    const token = vi.fn(() => "refused");
    const { feed } = collect(scripted.origin, { transports: [transport], token });
    const status = await feed.done;
    expect([status.state, status.error?.code, token.mock.calls.length]).toEqual(["closed", "unauthenticated", 2]);
  });

  it("takes only the feed's own problem documents as final once it was reached", async () => {
    const scripted = await Scripted.start();
    scripted.append(1);
    const { numbers, state, feed } = collect(scripted.origin, { transports: [transport], pollWait: 1 });
    await until("it is live", () => state() === "live");
    const login = { status: 200, headers: { "Content-Type": "text/html" }, body: "<html>" };
    const refusals = [{ status: 404 }, { status: 403, body: "no" }, { status: 502 }, login, { status: 400, headers: { "Content-Type": "application/problem+json" }, body: '{"type":"about:blank"}' }];
    for (const refusal of refusals) {
      const before = scripted.requests.length;
      scripted.refuse = () => refusal;
      scripted.cut();
      await until(`it retries after ${refusal.status}`, () => scripted.requests.length > before + 1);
    }
    scripted.refuse = () => undefined;
    scripted.append(2);
    await until("it is back", () => numbers.length >= 2 && state() === "live");
    expect(numbers).toEqual([1, 2]);
    scripted.refuse = () => problem(403, "forbidden");
    scripted.cut();
    if (transport === "websocket") return; // A page cannot see the status of an upgrade.
    expect((await feed.done).error?.code).toBe("forbidden");
  });

  it("releases everything when it is aborted", async () => {
    const scripted = await Scripted.start();
    const controller = new AbortController();
    const onStatus = vi.fn<(status: Status) => void>();
    const { numbers, feed } = collect(scripted.origin, { transports: [transport] }, { signal: controller.signal, onStatus });
    await until("it is live", () => feed.status.state === "live");
    controller.abort();
    expect(feed.status.state).toBe("closed");
    const told = onStatus.mock.calls.length;
    await until("the server has no stream", () => scripted.open === 0);
    // Those of requests are kept by Node for the next one.
    if (transport === "websocket") await until("the server has no connection", () => scripted.connections === 0);
    // A request may have been under way when it was aborted.
    const requests = await settled(() => scripted.requests.length);
    scripted.append(1);
    expect([numbers, onStatus.mock.calls.length, await settled(() => scripted.requests.length)]).toEqual([[], told, requests]);
  });

  it("notices a server that is silent", async () => {
    if (transport === "long-poll") return; // An answer has a deadline instead.
    const scripted = await Scripted.start();
    scripted.heartbeat = 40;
    const { state, statuses } = collect(scripted.origin, { transports: [transport] });
    await until("it is live", () => state() === "live");
    await until("it notices", () => statuses.some(({ reason }) => reason?.includes("silent")));
    await until("it is live again", () => state() === "live");
  });

  it("gives a slow handler no more than it can take, and loses nothing", async () => {
    const scripted = await Scripted.start();
    scripted.append(...range(1, 20_000));
    let busy = false;
    const seen: number[] = [];
    const { feed } = collect(scripted.origin, { transports: [transport] }, {
      onEvents: async (events) => {
        expect(busy).toBe(false);
        busy = true;
        await new Promise((done) => setTimeout(done, 1));
        // A socket cannot be read slowly: the subscription is given back, and taken up again later.
        if (transport === "websocket" && seen.length === 0) await until("the subscription is given back", () => scripted.open === 0);
        seen.push(...events.map((event) => (event.data as { n: number }).n));
        busy = false;
      },
    });
    await until("all are handled", () => seen.length >= 20_000);
    expect(seen).toEqual(range(1, 20_000));
    if (transport === "websocket") expect(scripted.afters.length).toBeGreaterThan(1);
    feed.close();
  });

  it("stores the cursor after the handler, and then what moved it without an event", async () => {
    const scripted = await Scripted.start();
    scripted.append(1, 2);
    const order: string[] = [];
    const store = { load: () => cursorAt(1), save: (cursor: string) => void order.push(cursor), clear: () => {} };
    const { feed } = collect(scripted.origin, { transports: [transport] }, { store, onEvents: (_, cursor) => void order.push(`handled ${cursor}`) });
    await until("it is live", () => feed.status.state === "live");
    await until("the cursor is stored", () => order.at(-1) === cursorAt(2));
    expect(order).toEqual([`handled ${cursorAt(2)}`, cursorAt(2)]);
  });

  it("closes when the handler throws, and does not count the events as handled", async () => {
    const scripted = await Scripted.start();
    scripted.append(1, 2);
    const saved: string[] = [];
    const store = { load: () => undefined, save: (cursor: string) => void saved.push(cursor), clear: () => {} };
    const { feed } = collect(scripted.origin, { transports: [transport] }, {
      store,
      onEvents: () => {
        throw new Error("a fault of the page");
      },
    });
    const status = await feed.done;
    expect(status.error?.code).toBe("handler-failed");
    expect(saved.every((cursor) => cursor < scripted.log[0]!.cursor)).toBe(true);
  });
});

it("throws the refusal of a command with the application's own code", async () => {
  const scripted = await Scripted.start();
  const type = "urn:flightdeck:problem:departed";
  scripted.onPost = () => ({ ...problem(409, "departed", { type }) });
  const posted = connect(scripted.origin, options()).post("/flights/UA1545/delay", {});
  await expect(posted).rejects.toMatchObject({ kind: "final", code: "departed", status: 409, message: "do this (departed)" });
});

it("waits as `bye` says", async () => {
  const scripted = await Scripted.start();
  let byes = 0;
  scripted.onSubscribe = (socket, { sub }) => {
    if (byes++ > 0) return false;
    socket.send(JSON.stringify({ frame: "ready", sub, cursor: scripted.head, head: scripted.head, heartbeat_ms: 15_000 }));
    socket.send(JSON.stringify({ frame: "bye", reason: "rotate", reconnect_after_ms: 1234 }));
    socket.close(4509);
    return true;
  };
  const { state, statuses } = collect(scripted.origin, { transports: ["websocket"] });
  await until("it is live", () => state() === "live");
  expect(statuses.find(({ retryIn }) => retryIn)).toMatchObject({ state: "reconnecting", reason: "rotate", retryIn: 1234 });
});

it.each(["4401", "expired"])("gets a new ticket when a WebSocket ends with %s", async (how) => {
  const scripted = await Scripted.start();
  let sockets = 0;
  scripted.onSubscribe = (socket, { sub }) => {
    if (sockets++ > 0) return false;
    socket.send(JSON.stringify({ frame: "ready", sub, cursor: scripted.head, head: scripted.head, heartbeat_ms: 15_000 }));
    if (how === "expired") socket.send(JSON.stringify({ frame: "bye", reason: "expired", reconnect_after_ms: 100 }));
    socket.close(4401);
    return true;
  };
  const reasons: TokenReason[] = [];
  const ticket = (reason: TokenReason) => {
    reasons.push(reason);
    return reason;
  };
  const { state } = collect(scripted.origin, { transports: ["websocket"], ticket });
  await until("it is live", () => state() === "live");
  expect(reasons).toEqual(["connect", "renew"]);
  expect(scripted.requests).toEqual(["/feed/ws?ticket=connect", "/feed/ws?ticket=renew"]);
});

it("waits as Retry-After says, spread", async () => {
  const scripted = await Scripted.start();
  scripted.refuse = () => ({ ...problem(503, "draining"), headers: { "Content-Type": "application/problem+json", "Retry-After": "1" } });
  const { state, statuses } = collect(scripted.origin, { transports: ["sse"] });
  await until("it waits", () => statuses.some(({ retryIn }) => retryIn));
  scripted.refuse = () => undefined;
  const { retryIn } = statuses.find((status) => status.retryIn) as { retryIn: number };
  expect(retryIn).toBeGreaterThanOrEqual(1000);
  expect(retryIn).toBeLessThanOrEqual(1500);
  await until("it is live", () => state() === "live");
});

it("uses one WebSocket for several feeds, and closes it after the last", async () => {
  const scripted = await Scripted.start();
  scripted.append(1, 2, 3);
  const api = connect(scripted.origin, options());
  const seen: number[] = [];
  const feeds = range(1, 5).map(() => api.feed({ onReset: "restart", onEvents: (events) => void seen.push(events.length) }));
  await until("all have everything", () => seen.reduce((sum, n) => sum + n, 0) === 15);
  expect(scripted.requests.filter((path) => path.startsWith("/feed/ws"))).toHaveLength(1);
  for (const feed of feeds) feed.close();
  await until("the server has no stream", () => scripted.open === 0 && scripted.connections === 0);
});

it("keeps a WebSocket while something comes through it, and not without subscriptions", async () => {
  const scripted = await Scripted.start();
  scripted.heartbeat = 800;
  let beats = 0;
  scripted.onSubscribe = (socket) => {
    const beat = setInterval(() => socket.send('{"frame":"heartbeat"}', () => beats++), 20);
    socket.on("close", () => clearInterval(beat));
    return false;
  };
  const { feed, state } = collect(scripted.origin, { transports: ["websocket"] });
  await until("it is live", () => state() === "live");
  const began = performance.now();
  await until("it was used for longer than a silence may be", () => performance.now() - began > 2500 && beats > 20);
  expect(scripted.requests).toHaveLength(1);
  feed.close();
  await until("the server has no connection", () => scripted.connections === 0);
});

it("holds no connection while the page is frozen, and no listener of the page after the last feed", async () => {
  const page = pageEvents();
  const scripted = await Scripted.start();
  const [first, second] = [collect(scripted.origin), collect(scripted.origin)];
  await until("both are live", () => first.state() === "live" && second.state() === "live");
  expect(page.count()).toBeGreaterThan(0);
  first.feed.close();
  page.fire("freeze");
  await until("the server has no connection", () => scripted.connections === 0);
  scripted.append(1);
  page.fire("resume");
  await until("it is back", () => second.numbers.length === 1 && second.state() === "live");
  second.feed.close();
  expect(page.count()).toBe(0);
});

it("does not count events as handled if it is closed while they are", async () => {
  const scripted = await Scripted.start();
  scripted.append(1, 2);
  const save = vi.fn();
  const handled = vi.fn(() => feed.close());
  const { feed } = collect(scripted.origin, {}, { onEvents: handled, store: { load: () => undefined, save, clear: () => {} } });
  await until("it is closed by its handler", () => handled.mock.calls.length);
  await until("the server has no connection", () => scripted.connections === 0);
  expect([handled.mock.calls.length, feed.cursor === scripted.head, save.mock.calls.flat().includes(scripted.head)]).toEqual([1, false, false]);
});

it("ends an iteration when the feed is closed, and throws why it cannot go on", async () => {
  const scripted = await Scripted.start();
  scripted.append(1, 2);
  const api = connect(scripted.origin, options({ transports: ["sse"] }));
  const feed = api.feed<{ Counted: { n: number } }>({ onReset: "restart" });
  const seen: number[] = [];
  for await (const { data } of feed) if (seen.push(data.n) === 2) setTimeout(() => feed.close(), 50);
  expect(seen).toEqual([1, 2]);
  scripted.refuse = () => problem(403, "forbidden");
  const next = api.feed({ onReset: "restart" })[Symbol.asyncIterator]().next();
  await expect(next).rejects.toMatchObject({ code: "forbidden" });
});

it("falls back at once where WebSockets do not open, and to long-poll where streams are held back", async () => {
  const scripted = await Scripted.start();
  scripted.append(1);
  scripted.refuse = (request) => {
    if (request.url?.startsWith("/feed/ws")) return { status: 426 };
    return request.headers.accept?.includes("event-stream") ? { status: 404 } : undefined;
  };
  const { numbers, statuses, state } = collect(scripted.origin);
  await until("it is live", () => state() === "live");
  expect(statuses.at(-1)?.transport).toBe("long-poll");
  expect(numbers).toEqual([1]);
});

it("switches to a WebSocket that works again, and leaves nothing open", async () => {
  const scripted = await Scripted.start();
  let blocked = true;
  scripted.refuse = (request) => (blocked && request.url?.startsWith("/feed/ws") ? { status: 426 } : undefined);
  scripted.append(1, 2);
  const { feed, numbers, statuses, state } = collect(scripted.origin, { upgradeAfter: 10 });
  await until("it has tried a WebSocket in vain", () => state() === "live" && scripted.requests.filter((path) => path.startsWith("/feed/ws")).length > 3);
  expect(statuses.at(-1)?.transport).toBe("sse");
  blocked = false;
  await until("it is live over a WebSocket", () => state() === "live" && statuses.at(-1)?.transport === "websocket");
  scripted.append(3, 4);
  await until("all are there", () => numbers.length >= 4);
  expect(numbers).toEqual([1, 2, 3, 4]);
  // The user has not seen that the connection is another one.
  expect(statuses.map((status) => status.state).filter((state) => state === "reconnecting")).toEqual([]);
  await until("the server has one stream", () => scripted.open === 1);
  feed.close();
  await until("the server has no stream", () => scripted.open === 0);
});

it("asks with the same filter over every transport", async () => {
  const scripted = await Scripted.start();
  const commands: object[] = [];
  scripted.onSubscribe = (_, command) => {
    commands.push(command);
    return false;
  };
  const filter: Filter = { stream: "numbers", tag: ["a", "b"], ...({ type: undefined } as object) };
  for (const transport of TRANSPORTS) {
    const { state } = collect(scripted.origin, { transports: [transport] }, { filter, after: "last:5" });
    await until(`${transport} is live`, () => state() === "live");
  }
  expect(commands).toEqual([{ frame: "subscribe", filter: { stream: ["numbers"], tag: ["a", "b"] }, sub: "s1", after: "last:5" }]);
  const query = "/feed?stream=numbers&tag=a&tag=b&after=last%3A5";
  expect(scripted.requests.slice(1, 3)).toEqual([query, `${query}&limit=1000`]);
});

it("stays with its transports while the server is down", async () => {
  const scripted = await Scripted.start();
  const { state, statuses } = collect(scripted.origin);
  await until("it is live", () => state() === "live");
  scripted.refuse = () => ({ status: 503 });
  const before = scripted.requests.length;
  scripted.cut();
  await until("it retries", () => scripted.requests.length > before + 6);
  scripted.refuse = () => undefined;
  await until("it is live", () => state() === "live");
  expect(statuses.at(-1)?.transport).not.toBe("long-poll");
});

it("does not use a WebSocket that would need the token in its URL", async () => {
  const scripted = await Scripted.start();
  const { state, statuses } = collect(scripted.origin, { token: () => "secret" });
  await until("it is live", () => state() === "live");
  expect(statuses.at(-1)?.transport).toBe("sse");
  expect(scripted.requests.join()).not.toContain("secret");
  expect(scripted.heads[0]).toMatchObject({ authorization: "Bearer secret", "feed-client": expect.stringMatching(/^downlink-js\//) });
});

it("refuses a filter that came out empty, and stays closed when it was aborted before", async () => {
  const api = connect("http://127.0.0.1:1", options());
  expect(() => api.feed({ filter: { tag: [] }, onReset: "restart" })).toThrow(/'tag' is empty/);
  const aborted = api.feed({ onReset: "restart", signal: AbortSignal.abort(), onEvents: () => {} });
  expect((await aborted.done).state).toBe("closed");
  for await (const _ of aborted) throw new Error("unreachable");
});

it("is an error where nothing of a feed answers", async () => {
  const scripted = await Scripted.start();
  scripted.refuse = () => ({ status: 404 });
  const { feed } = collect(scripted.origin);
  const { error } = await feed.done;
  expect(error).toBeInstanceOf(DownlinkError);
  expect(error?.kind).toBe("foreign");
});
