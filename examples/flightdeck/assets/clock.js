// The clock of the replay, as far as this page can know it.
//
// Events say what it shows and how fast it goes. Between them the page counts on by
// itself, but only while it is live: what it cannot hear, it does not claim.

import { minutes } from './flights.js';

export class Clock {
  speed = 60;
  paused = false;
  finished = false;
  /** Whether some program replays the day. */
  turning = true;

  #shown = minutes('2013-01-01T04:45');
  #since = 0;
  #live = false;

  /** What the clock shows, in minutes since midnight. */
  now() {
    if (!this.running()) return this.#shown;
    return this.#shown + ((performance.now() - this.#since) / 60_000) * this.speed;
  }

  running() {
    return this.#live && this.turning && !this.paused && !this.finished;
  }

  /** Takes what the server says the clock shows at this moment. */
  set({ clock, speed, paused, finished, running }) {
    this.#stand(minutes(clock));
    if (running !== undefined) this.turning = running;
    if (speed !== undefined) this.speed = speed;
    if (paused !== undefined) this.paused = paused;
    if (finished !== undefined) this.finished = finished;
  }

  apply({ type, data }) {
    if (type === 'ReplayStarted') this.set({ finished: false, running: true, ...data });
    if (type === 'ReplayStopped') this.set({ ...data, running: false });
    if (type === 'ReplayPaused') this.set({ ...data, paused: true });
    if (type === 'ReplayResumed') this.set({ ...data, paused: false });
    if (type === 'ReplaySpeedChanged') this.set(data);
    if (type === 'ReplayFinished') this.set({ ...data, finished: true });
    // Something happened at this minute, so it is at least that late.
    if (data.at && minutes(data.at) > this.now()) this.#stand(minutes(data.at));
  }

  /** Whether this page hears events as they happen. */
  live(live) {
    this.#stand(this.now());
    this.#live = live;
  }

  restart() {
    this.#stand(minutes('2013-01-01T04:45'));
  }

  #stand(minute) {
    // Replay events name the minute only: never go back by the seconds they leave out.
    const here = this.now();
    this.#shown = Math.floor(here) === minute ? here : minute;
    this.#since = performance.now();
  }
}
