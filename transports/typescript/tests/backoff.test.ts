import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { connect, type ConnectOptions, DownlinkError, newId, type Status } from "../src/index.js";
// It is loaded on demand, which fake timers do not wait for.
import "../src/fallback.js";
import { DEFAULT_DELAY, nextDelay } from "../src/delay.js";
import { SseParser } from "../src/sse.js";

describe("the delay before a reconnect", () => {
  const drawn = (server: Parameters<typeof nextDelay>[1], unproductive = 0) =>
    Array.from({ length: 1000 }, () => nextDelay(DEFAULT_DELAY, server, unproductive));

  it("is spread over the whole range", () => {
    const delays = drawn({});
    expect(delays.every((delay) => delay >= 1000 && delay <= 10_000)).toBe(true);
    expect(Math.min(...delays)).toBeLessThan(1500);
    expect(Math.max(...delays)).toBeGreaterThan(9500);
  });

  it("is what the server asks this client for, and is spread if it asks all", () => {
    expect(new Set(drawn({ exactly: 1234 }))).toEqual(new Set([1234]));
    const spread = drawn({ retryAfter: 10_000 });
    expect(spread.every((delay) => delay >= 10_000 && delay <= 15_000)).toBe(true);
    expect(new Set(spread).size).toBeGreaterThan(100);
  });

  it("is neither a busy loop nor endless, whatever a server asks for", () => {
    expect(new Set([...drawn({ exactly: 0 }), ...drawn({ retryAfter: 0 })])).toEqual(new Set([100]));
    expect(new Set([...drawn({ exactly: 1e12 }), ...drawn({ retryAfter: 1e12 })])).toEqual(new Set([60_000]));
  });

  it("cannot be shortened by a server whose connections bring nothing", () => {
    expect(drawn({ exactly: 100 }, 4).every((delay) => delay >= 1000)).toBe(true);
    expect(drawn({ exactly: 100 }, 3).every((delay) => delay === 100)).toBe(true);
  });
});

describe("a server that cannot be reached", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const unreachable = (more: ConnectOptions = {}) => {
    const fetch = vi.fn(() => Promise.reject(new TypeError("fetch failed")));
    const statuses: Status[] = [];
    const api = connect("http://127.0.0.1:1", { transports: ["sse"], fetch, ...more });
    const feed = api.feed({ onReset: "restart", onEvents: () => {}, onStatus: (status) => void statuses.push(status) });
    return { api, feed, fetch, statuses };
  };

  it("is asked every one to ten seconds, forever", async () => {
    const { feed, fetch, statuses } = unreachable();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(fetch.mock.calls.length).toBeGreaterThan(360);
    expect(fetch.mock.calls.length).toBeLessThan(3600);
    expect(statuses.every(({ state }) => state === "connecting")).toBe(true);
    expect(statuses.some(({ retryIn, reason }) => retryIn && reason?.includes("cannot be reached"))).toBe(true);
    feed.close();
    expect(vi.getTimerCount()).toBe(0);
    const calls = fetch.mock.calls.length;
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(fetch.mock.calls.length).toBe(calls);
  });

  it("gets a command again with the same id, until the time is over", async () => {
    const { api, feed, fetch } = unreachable();
    feed.close();
    const began = Date.now();
    const posted = api.post("/flights", { gate: "C71" }, { timeout: 20_000 }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await posted).toBeInstanceOf(DownlinkError);
    expect(Date.now() - began).toBeLessThanOrEqual(30_000);
    const calls = fetch.mock.calls as unknown as [string, RequestInit][];
    const keys = calls.filter(([url]) => url.endsWith("/flights")).map(([, init]) => (init.headers as Record<string, string>)["Idempotency-Key"]);
    expect(keys.length).toBeGreaterThan(3);
    expect(new Set(keys).size).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it("makes ids that sort by time", () => {
  const ids = Array.from({ length: 100 }, newId);
  expect(new Set(ids).size).toBe(100);
  expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
  const time = Number.parseInt(newId().replace("-", "").slice(0, 12), 16);
  expect(Math.abs(time - Date.now())).toBeLessThan(10_000);
});

it("parses an event stream however it is cut", () => {
  const event = { cursor: "0000000000000001-00000001", id: "a", type: "T", data: "grüße 🛫" };
  const text = `\uFEFF:\n\nretry: 7\nid: x\nevent: feed.ready\ndata: {"frame":"ready"}\n\ndata: ${JSON.stringify(event)}\r\n\r\ndata: {"frame":\rdata: "live"}\r\rdata: {"frame":\r\ndata: "behind"}\r\n\r\n:\n\n`;
  const bytes = new TextEncoder().encode(text);
  for (let size = 1; size <= bytes.length; size++) {
    const parser = new SseParser();
    const frames = [];
    for (let at = 0; at < bytes.length; at += size) frames.push(...parser.push(bytes.subarray(at, at + size)));
    expect(frames).toEqual([{ frame: "ready" }, { frame: "events", events: [event] }, { frame: "live" }, { frame: "behind" }]);
    expect(parser.retry).toBe(7);
  }
});
