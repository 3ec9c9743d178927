// What the scenarios see of a tab, and do to it.

import { connect, type Envelope } from "../../../src/index.js";

type Counted = Envelope<{ n: number }>;

const parameters = new URLSearchParams(location.search);
const share = parameters.get("share") ?? undefined;
const transport = parameters.get("transport");
const sockets: WebSocket[] = [];
const api = connect("/", {
  share,
  WebSocket: class extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  },
  delay: { min: 50, max: 500 },
  ...(transport && { transports: [transport as "sse"] }),
});

const tab = {
  numbers: [] as number[],
  states: [] as string[],
  state: "",
  reason: "",
  transport: "",
  liveAt: 0,
  startedAt: Date.now(),
  /** Whether this tab has a connection. */
  owns: () => sockets.some(({ readyState }) => readyState === WebSocket.OPEN),
  /** Keeps the tab's only thread from doing anything else. */
  hang(milliseconds: number) {
    for (const end = Date.now() + milliseconds; Date.now() < end; );
  },
  close: () => feed.close(),
};

const feed = api.feed({
  after: "start",
  onReset: () => {
    tab.numbers = [];
    return "start";
  },
  onEvents: (events) => void tab.numbers.push(...events.map((event) => (event as Counted).data.n)),
  onStatus: ({ state, reason, transport }) => {
    tab.transport = transport ?? tab.transport;
    tab.state = state;
    tab.reason = reason ?? "";
    if (tab.states.at(-1) !== state) tab.states.push(state);
    if (state === "live" && !tab.liveAt) tab.liveAt = Date.now();
    document.body.textContent = `${state} ${reason ?? ""}`;
  },
});

Object.assign(window, { tab });
