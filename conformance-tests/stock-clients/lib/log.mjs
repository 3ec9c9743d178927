// The log that a scenario writes, and the check that a client received exactly that.

import { randomUUID } from 'node:crypto';

import { onTheWire, payloads } from './payloads.mjs';
import { expect, pause } from './scenario.mjs';

const STREAMS = ['flight-UA1545', 'flight-B6 725/2 100%', 'flight-Åre?#&'];
const DEADLINE = 30_000;

export class Log {
  /** What was written, in order. */
  events = [];
  #origin;
  #prefix;
  #versions = new Map();

  /**
   * @param origin the server that accepts `POST /streams/{stream}`
   * @param prefix what the names of the streams begin with, if the log has some already
   */
  constructor(origin, prefix = '') {
    this.#origin = origin;
    this.#prefix = prefix;
  }

  /** A copy of this log, to which other events can be appended. */
  fork() {
    const fork = new Log(this.#origin, this.#prefix);
    fork.events = [...this.events];
    fork.#versions = new Map(this.#versions);
    return fork;
  }

  /** Appends this many events, one after the other, and repeats those whose response was lost. */
  async append(count) {
    for (let n = 0; n < count; n += 1) await this.#append();
  }

  async #append() {
    const payload = payloads[this.events.length % payloads.length];
    // Streams change with every round, so that each gets every payload.
    const stream = this.#prefix + STREAMS[Math.floor(this.events.length / payloads.length) % STREAMS.length];
    const version = (this.#versions.get(stream) ?? 0) + 1;
    const event = { id: randomUUID(), stream, version, ...payload };
    await this.#post(event);
    this.#versions.set(stream, version);
    this.events.push(event);
  }

  async #post(event) {
    const { id, stream, version, type, json, base64, contentType } = event;
    const data = json === undefined ? `"data_base64":"${base64}","content_type":"${contentType}"` : `"data":${json}`;
    const request = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: `{"id":"${id}","type":"${type}",${data},"metadata":{"note":"a\\r\\nid: 1\\n\\n"},"tags":["airport:EWR"]}`,
    };
    const end = performance.now() + DEADLINE;
    for (;;) {
      const answer = await fetch(`${this.#origin}/streams/${encodeURIComponent(stream)}?expected=${version - 1}`, request)
        .catch(() => null);
      if (answer?.ok) return;
      const why = answer && `${answer.status} ${await answer.text()}`;
      if (answer && answer.status !== 503) throw new Error(`append of '${event.name}' to '${stream}': ${why}`);
      if (performance.now() > end) throw new Error(`no append for ${DEADLINE / 1000} s: ${why ?? 'no response'}`);
      await pause(50);
    }
  }

  /** Checks that a client has received every event once, in order and unchanged, each as `{ id, data }`. */
  check(received) {
    let before = '';
    received.forEach(({ id, data }, index) => {
      const { name, ...event } = this.events[index] ?? { name: 'nothing' };
      const what = `event ${index + 1} of ${this.events.length} ('${name}')`;
      const { id: got, stream, version, type, cursor } = JSON.parse(data);
      expect(what, { id: got, stream, version, type },
        { id: event.id, stream: event.stream, version: event.version, type: event.type });
      expect(`${what}, its cursor`, cursor, id);
      if (!(id > before)) throw new Error(`${what}: id ${id} after ${before} does not increase`);
      if (!data.includes(`,${onTheWire(event)},"metadata":{"note":"a\\r\\nid: 1\\n\\n"},`)) {
        throw new Error(`${what}: the payload was changed: ${data.slice(0, 400)}`);
      }
      before = id;
    });
    expect('events received', received.length, this.events.length);
  }
}
