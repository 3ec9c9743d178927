import { batch, createSignal, onCleanup } from "solid-js";
import { createStore } from "solid-js/store";

import { type DeckEvent, happened } from "./deck-event";
import { minutes } from "./time";
import type { ReplayStatus } from "../types.gen";

const MORNING = minutes("2013-01-01T04:45");
const TICK = 250;

/**
 * The clock of the replay. Events have its time and its speed; between them the page extrapolates, but only while it is
 * live.
 */
export function createClock() {
  const [replay, setReplay] = createStore({ speed: 60, paused: false, finished: false, running: true });
  const [isLive, setLive] = createSignal(false);
  const [shown, setShown] = createSignal({ minute: MORNING, since: performance.now() });
  const [tick, setTick] = createSignal(performance.now());
  const timer = setInterval(() => setTick(performance.now()), TICK);
  onCleanup(() => clearInterval(timer));

  const runs = () => isLive() && replay.running && !replay.paused && !replay.finished;
  const at = (now: number) => shown().minute + (runs() ? Math.max(0, ((now - shown().since) / 60_000) * replay.speed) : 0);

  function show(minute: number): void {
    const since = performance.now();
    const now = at(since);
    // Events have no seconds: keep the clock's own within the same minute.
    setShown({ minute: Math.floor(now) === minute ? now : minute, since });
  }

  function set({ clock, ...state }: Partial<ReplayStatus>): void {
    batch(() => {
      if (clock) show(minutes(clock));
      setReplay(state);
    });
  }

  /** How many events have changed the state of the replay. */
  let changes = 0;

  return {
    replay,
    /** Minutes since midnight. */
    minute: () => Math.floor(at(tick())),
    runs,
    /** Takes the server's answer, which has the exact time, unless an event was faster. */
    async load(request: () => Promise<ReplayStatus>) {
      const before = changes;
      const status = await request();
      if (changes === before) set(status);
    },
    /** Sets whether this page receives events live. */
    setLive(live: boolean) {
      show(at(performance.now()));
      setLive(live);
    },
    restart: () => void setShown({ minute: MORNING, since: performance.now() }),
    apply(event: DeckEvent) {
      if (event.type.startsWith("Replay")) changes++;
      switch (event.type) {
        case "ReplayStarted":
          return set({ finished: false, running: true, ...event.data });
        case "ReplayStopped":
          return set({ ...event.data, running: false });
        case "ReplayPaused":
          return set({ ...event.data, paused: true });
        case "ReplayResumed":
          return set({ ...event.data, paused: false });
        case "ReplaySpeedChanged":
          return set(event.data);
        case "ReplayFinished":
          return set({ ...event.data, finished: true });
        default: {
          // The clock shows at least the minute of an event.
          const minute = minutes(happened(event));
          if (minute > at(performance.now())) show(minute);
        }
      }
    },
  };
}

export type Clock = ReturnType<typeof createClock>;
