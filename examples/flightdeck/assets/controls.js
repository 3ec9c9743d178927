// The clock and the controls of the replay.

import { Flaps } from './flaps.js';
import { hhmm } from './flights.js';
import { post } from './post.js';

const element = (id) => document.getElementById(id);
const days = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });

// The slider is logarithmic, from 1 to 3600.
const toSpeed = (value) => {
  const speed = 3600 ** (value / 100);
  return speed < 10 ? Math.round(speed * 10) / 10 : Math.round(speed);
};
const toValue = (speed) => Math.round((Math.log(speed) / Math.log(3600)) * 100);

export class Controls {
  #clock;
  #showMessage;
  #flaps = new Flaps(5, '', 1);
  #sliding = false;

  /** @param showMessage called with a message if the server refuses a command */
  constructor(clock, showMessage) {
    this.#clock = clock;
    this.#showMessage = showMessage;
    element('clock').append(this.#flaps.element);
    element('pause').addEventListener('click', () => this.#send({ paused: !clock.paused }));
    element('speed').addEventListener('input', () => {
      this.#sliding = true;
      this.#showSpeed(toSpeed(element('speed').value));
    });
    element('speed').addEventListener('change', async () => {
      await this.#send({ speed: toSpeed(element('speed').value) });
      this.#sliding = false;
    });
  }

  draw() {
    const { paused, finished, speed } = this.#clock;
    const now = Math.floor(this.#clock.now());
    this.#flaps.show(hhmm(now));
    element('clock-text').textContent = `The clock shows ${hhmm(now)}`;
    element('date').textContent = days.format(Date.UTC(2013, 0, 1, 0, now)).replace(',', '');
    element('pause').textContent = finished ? 'Finished' : paused ? 'Resume' : 'Pause';
    element('pause').disabled = element('speed').disabled = finished;
    element('pause').setAttribute('aria-pressed', String(paused));
    if (this.#sliding) return;
    element('speed').value = toValue(speed);
    this.#showSpeed(speed);
  }

  #showSpeed(speed) {
    element('speed-text').textContent = `${speed}×`;
    element('speed').setAttribute('aria-valuetext', `${speed} times real time`);
  }

  async #send(control) {
    const { refusal } = await post('api/replay', control);
    if (refusal !== undefined) this.#showMessage(refusal);
  }
}
