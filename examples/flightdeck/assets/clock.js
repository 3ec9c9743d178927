// The clock of the replay.
//
// Events have its time and its speed. Between events the page extrapolates, but only while it is live.

import { minutes } from './flights.js';

export class Clock {
  speed = 60;
  paused = false;
  finished = false;
  /** Whether a program replays the day. */
  replaying = true;

  #shown = minutes('2013-01-01T04:45');
  #since = 0;
  #live = false;

  /** The time of the clock, in minutes since midnight. */
  now() {
    if (!this.running()) return this.#shown;
    return this.#shown + ((performance.now() - this.#since) / 60_000) * this.speed;
  }

  running() {
    return this.#live && this.replaying && !this.paused && !this.finished;
  }

  /** Sets the clock to a state from the server. */
  set({ clock, speed, paused, finished, running }) {
    this.#setShown(minutes(clock));
    if (running !== undefined) this.replaying = running;
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
    // An event at this minute: the clock shows at least that.
    if (data.at && minutes(data.at) > this.now()) this.#setShown(minutes(data.at));
  }

  /** Sets whether this page receives events live. */
  live(live) {
    this.#setShown(this.now());
    this.#live = live;
  }

  restart() {
    this.#setShown(minutes('2013-01-01T04:45'));
  }

  #setShown(minute) {
    // Events have no seconds: keep the clock's own within the same minute.
    const now = this.now();
    this.#shown = Math.floor(now) === minute ? now : minute;
    this.#since = performance.now();
  }
}
