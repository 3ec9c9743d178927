import { expect, it, onTestFinished } from "vitest";

import type { Snapshot } from "../src/live.js";
import { browser, type Tab } from "./support/browser-tabs.js";
import { options, range } from "./support/collect.js";
import type { Row } from "./support/live-rows.js";
import { pageEvents } from "./support/page-events.js";
import { until } from "./support/program.js";
import { Scripted } from "./support/scripted.js";

interface Follower {
  tab: Tab;
  numbers: number[];
  state: string;
  rows: () => readonly Row[];
}

/** A tab that follows the feed and the board. */
async function follower(tab: Tab, origin: string, share = "ann"): Promise<Follower> {
  const api = tab.core.connect(origin, options({ share }));
  const follower: Follower = { tab, numbers: [], state: "", rows: () => snapshot?.rows ?? [] };
  let snapshot: Snapshot<Row> | undefined;
  const feed = api.feed<{ Counted: { n: number } }>({
    onReset: "restart",
    onEvents: (events) => void follower.numbers.push(...events.map(({ data }) => data.n)),
    onStatus: ({ state }) => (follower.state = state),
  });
  const leave = tab.live.live<Row>(api, "board").subscribe((now) => (snapshot = now));
  onTestFinished(() => {
    feed.close();
    leave();
  });
  // The channel is opened after the module was loaded.
  await until("the tab is live", () => follower.state === "live" && snapshot?.status.state === "live");
  return follower;
}

async function three(): Promise<{ scripted: Scripted; tabs: Follower[] }> {
  const scripted = await Scripted.start();
  scripted.append(...range(1, 10));
  scripted.board.set(1, [{ flight: "UA1", gate: "A1" }]);
  const { open } = browser();
  const tabs: Follower[] = [];
  for (let n = 0; n < 3; n++) tabs.push(await follower(await open(), scripted.origin));
  return { scripted, tabs };
}

const gate = (gate: string): Row[] => [{ flight: "UA1", gate }];

async function have(tabs: Follower[], last: number, rows: Row[]): Promise<void> {
  await until("all have everything", () => tabs.every(({ numbers, rows: now }) => numbers.length >= last && JSON.stringify(now()) === JSON.stringify(rows)));
  for (const { numbers } of tabs) expect(numbers).toEqual(range(1, last));
}

it("shares the streams of a feed and of a live query", async () => {
  const { scripted, tabs } = await three();
  await have(tabs, 10, gate("A1"));
  // One stream for each of the two, on one socket.
  await until("there is one of each", () => scripted.open === 2);
  scripted.append(...range(11, 30));
  scripted.board.set(2, gate("B2"));
  await have(tabs, 30, gate("B2"));
  expect(scripted.requests.filter((path) => path.startsWith("/feed/ws"))).toHaveLength(1);
});

it("reads from the server what a tab has missed", async () => {
  const { scripted, tabs } = await three();
  const last = tabs.at(-1) as Follower;
  last.tab.setDeaf(true);
  scripted.append(...range(11, 20));
  scripted.board.set(2, gate("B2"));
  await have(tabs.slice(0, 2), 20, gate("B2"));
  expect(last.numbers).toHaveLength(10);
  last.tab.setDeaf(false);
  scripted.board.set(3, gate("C3"));
  await have(tabs, 20, gate("C3"));
});

it("takes the connection from a tab that is silent, which then follows", async () => {
  const { scripted, tabs } = await three();
  const [leader, ...others] = tabs as [Follower, Follower, Follower];
  leader.tab.setDeaf(true);
  scripted.append(...range(11, 20));
  await have(others, 20, gate("A1"));
  leader.tab.setDeaf(false);
  scripted.append(...range(21, 30));
  await have(tabs, 30, gate("A1"));
  await until("there is one connection again", () => scripted.open === 2);
  // On a busy machine the third tab may take it from the second before it has heard of that.
  expect(scripted.requests.filter((path) => path.startsWith("/feed/ws")).length).toBeLessThanOrEqual(3);
});

it("does not share between two logins, nor without locks", async () => {
  const scripted = await Scripted.start();
  scripted.append(1);
  const { open } = browser();
  await follower(await open(), scripted.origin, "ann");
  await follower(await open(), scripted.origin, "bob");
  await until("each has its own", () => scripted.open === 4);
  Object.assign(navigator, { locks: undefined });
  const alone = await follower(await open(), scripted.origin, "ann");
  await until("each has its own", () => scripted.open === 6);
  expect(alone.numbers).toEqual([1]);
});

it("keeps nothing of a feed that was closed, also while the code for tabs was loaded", async () => {
  const page = pageEvents();
  const scripted = await Scripted.start();
  const { core } = await browser().open();
  const { groups } = await import("../src/tab-group.js");
  const follow = () => core.connect(scripted.origin, options({ share: "ann" })).feed({ onReset: "restart", onEvents: () => {} });
  const early = follow();
  // It begins to follow in one of the next microtasks, and the code comes later.
  for (let n = 0; n < 100; n++) await undefined;
  early.close();
  await import("../src/tabs.js");
  await new Promise((done) => setTimeout(done, 100));
  expect([groups.size, scripted.requests]).toEqual([0, []]);
  const late = follow();
  await until("it is live", () => late.status.state === "live");
  expect([groups.size, page.count() > 0]).toEqual([1, true]);
  late.close();
  await until("the server has no stream", () => scripted.open === 0);
  expect([groups.size, page.count()]).toEqual([0, 0]);
});
