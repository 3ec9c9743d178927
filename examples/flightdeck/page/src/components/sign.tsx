import { createSignal } from "solid-js";

import { useDeck } from "../deck";
import { day, short, timeAt } from "../model/time";
import { Flaps } from "./flaps";

const FASTEST = 3600;

// The slider is logarithmic.
const toSpeed = (value: number): number => {
  const speed = FASTEST ** (value / 100);
  return speed < 10 ? Math.round(speed * 10) / 10 : Math.round(speed);
};
const toValue = (speed: number): number => Math.round((Math.log(speed) / Math.log(FASTEST)) * 100);

/** The sign above the board, with the clock. */
export function Sign() {
  const { clock } = useDeck();
  const time = () => short(timeAt(clock.minute()));
  return (
    <header class="sign">
      <svg class="pictogram" viewBox="0 0 64 64" aria-hidden="true">
        <rect width="64" height="64" rx="7" />
        <path d="M9 41.5l3.4-1 5.3 3.2 10.2-3.2-12.2-17.6 5-1.6 17.5 14.1 10.4-3.3c2.6-.8 6-.4 6.7 1.7.7 2.2-1.8 4.3-4.4 5.2L18.7 49.4c-1.7.5-3 .1-4-.9z" />
        <path d="M9 54h46v3.5H9z" />
      </svg>
      <div class="title">
        <h1>Departures</h1>
        <p>New York · {day(clock.minute())}</p>
      </div>
      <div class="clock">
        <Flaps text={time()} length={5} steps={1} />
        <span class="unseen">The clock shows {time()}</span>
      </div>
      <ReplayControls />
    </header>
  );
}

function ReplayControls() {
  const deck = useDeck();
  const { replay } = deck.clock;
  const [sliding, setSliding] = createSignal<number>();
  const speed = () => sliding() ?? replay.speed;
  const setSpeed = async (speed: number) => {
    await deck.control({ speed });
    setSliding(undefined);
  };
  return (
    <form class="replay" aria-label="Replay of the day">
      <button type="button" aria-pressed={replay.paused} disabled={replay.finished} onClick={() => deck.control({ paused: !replay.paused })}>
        {replay.finished ? "Finished" : replay.paused ? "Resume" : "Pause"}
      </button>
      <label for="speed">Speed</label>
      <input
        type="range"
        id="speed"
        min="0"
        max="100"
        value={toValue(speed())}
        disabled={replay.finished}
        aria-valuetext={`${speed()} times real time`}
        onInput={(event) => setSliding(toSpeed(event.target.valueAsNumber))}
        onChange={(event) => setSpeed(toSpeed(event.target.valueAsNumber))}
      />
      <output for="speed">{speed()}×</output>
    </form>
  );
}
