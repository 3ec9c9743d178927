import type { State } from "downlink";
import { createEffect, createSignal, on, onCleanup } from "solid-js";

import { useDeck } from "../deck";
import { TRANSPORTS } from "../model/choice";
import { ButtonGroup } from "./button-group";

const STATES: Readonly<Record<State | "disconnected", string>> = {
  connecting: "Connecting",
  "catching-up": "Catching up",
  live: "Live",
  reconnecting: "Waiting to reconnect",
  reset: "The log was replaced",
  closed: "Closed",
  disconnected: "Disconnected by you",
};
const NAMES = { websocket: "WebSocket", sse: "SSE", "long-poll": "Long-poll" };

/** The state of the page's connection, and the check that it misses and repeats nothing. */
export function ConnectionPanel() {
  const deck = useDeck();
  const { events, choice } = deck;
  const state = () => (deck.isCut() ? "disconnected" : deck.status().state);
  const isBroken = () => events.counts().gaps + events.counts().repeats > 0;
  return (
    <section class="panel connection" aria-labelledby="connection-title">
      <h2 id="connection-title">Connection</h2>
      <p class="chip" data-state={state()} role="status">{STATES[state()]}</p>
      <ButtonGroup
        label="Transport"
        value={choice.transport}
        options={TRANSPORTS.map((value) => ({ value, name: NAMES[value] }))}
        onChoose={(transport) => {
          deck.setChoice({ transport });
          deck.say(`Switched to ${NAMES[transport]} after cursor ${events.cursor()}.`);
        }}
      />
      <Detail />
      <dl>
        <div class="wide"><dt>Events</dt><dd class="code">{events.cursor() || "–"}</dd></div>
        <div class="wide"><dt>Board</dt><dd class="code">{deck.board.cursor ?? "–"}</dd></div>
        <div><dt>Flights</dt><dd>{deck.board.rows.length.toLocaleString("en")}</dd></div>
        <div><dt>Events received</dt><dd>{events.counts().received.toLocaleString("en")}</dd></div>
        <div class="wide"><dt>Check</dt><dd class="checked" classList={{ broken: isBroken() }}>gaps {events.counts().gaps} · repeats {events.counts().repeats}</dd></div>
      </dl>
      <button type="button" class="disconnect" disabled={deck.isCut()} onClick={deck.disconnect}>Disconnect</button>
      <Resumed />
    </section>
  );
}

/** Why it is not live, and when it will try again. */
function Detail() {
  const deck = useDeck();
  const [now, setNow] = createSignal(performance.now());
  const timer = setInterval(() => setNow(performance.now()), 1000);
  onCleanup(() => clearInterval(timer));
  const until = () => {
    const { retryIn } = deck.status();
    return retryIn ? performance.now() + retryIn : 0;
  };
  const [retryAt, setRetryAt] = createSignal(0);
  createEffect(() => setRetryAt(until()));
  const text = () => {
    if (deck.isCut()) return "You disconnected this page.";
    const { state, reason, transport } = deck.status();
    if (state === "live") return transport === deck.choice.transport ? "" : `Over ${transport}, since ${deck.choice.transport} does not work here.`;
    const seconds = Math.ceil((retryAt() - now()) / 1000);
    return `${reason ?? ""}${seconds > 0 ? ` Reconnecting in ${seconds} s.` : ""}`;
  };
  return <p class="detail" id="detail">{text()}</p>;
}

/** What happened while the page was not live. */
function Resumed() {
  const { events, status, isCut } = useDeck();
  const [text, setText] = createSignal("");
  let before: { since: number; received: number; gaps: number; repeats: number } | undefined;
  createEffect(
    on(
      () => (isCut() ? "reconnecting" : status().state),
      (state) => {
        if (state === "reconnecting" || state === "closed") before ??= { since: performance.now(), ...events.counts() };
        if (state !== "live" || !before) return;
        const { received, gaps, repeats } = events.counts();
        const seconds = ((performance.now() - before.since) / 1000).toFixed(1);
        setText(`Resumed after ${seconds} s: ${received - before.received} events received, ${gaps - before.gaps} missed, ${repeats - before.repeats} repeated.`);
        before = undefined;
      },
    ),
  );
  return <p class="detail" id="resumed">{text()}</p>;
}
