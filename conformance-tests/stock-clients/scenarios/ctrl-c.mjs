import { once } from 'node:events';
import { connect } from 'node:net';

import { Log } from '../lib/log.mjs';
import { server } from '../lib/program.mjs';
import { expect, scenario, until } from '../lib/scenario.mjs';

const STREAMS = 1_000;
// The goal is one second; the test allows more, so that it does not fail on a busy machine.
const MOST = 5_000;

/** One stream over a plain socket, of which a thousand need few resources. */
class Stream {
  text = '';
  ended = false;

  constructor(origin) {
    const { host, port } = new URL(origin);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(`GET /feed HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n\r\n`);
    socket.setEncoding('utf8').on('data', (text) => (this.text += text));
    once(socket, 'close').then(() => (this.ended = true), (error) => (this.text += `\n${error}`));
  }

  /** Whether the stream ended with `feed.bye` and a complete body. */
  endedCleanly() {
    return /event: feed\.bye\ndata: .*\n\n$/.test(this.text);
  }
}

await scenario(`Ctrl-C ends the server with ${STREAMS} open streams`, async (world) => {
  const program = await (await server(world)).start();
  const log = new Log(program.origin);
  await log.append(3);
  const streams = Array.from({ length: STREAMS }, () => new Stream(program.origin));
  await until('every stream is live', () => streams.every((stream) => stream.text.includes('event: feed.live\n')));

  const took = await program.interrupt();
  await until('every stream has ended', () => streams.every((stream) => stream.ended));
  expect('streams that did not end cleanly', streams.filter((stream) => !stream.endedCleanly()).length, 0);
  if (took > MOST) throw new Error(`it took ${Math.round(took)} ms`);
  return `${Math.round(took)} ms, each stream ended with feed.bye`;
});
