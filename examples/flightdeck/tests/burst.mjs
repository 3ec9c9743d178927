// Measures the page under a burst: 1,000 events per second of 200 flights, 100,000 in all. Prints the frames per second
// and the memory of the page. Not a test, since the figures are those of the machine:
//
//   DOWNLINK_TARGET=target/release CHROMIUM=$(command -v chromium) PAGE_TESTS=/tmp node examples/flightdeck/tests/burst.mjs
//
// `CALM=1` has the tiles change without turning, as for users who prefer reduced motion.

import { join } from 'node:path';

import { browser } from '../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck } from '../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { flightdeck, server } from '../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, pause, scenario } from '../../../conformance-tests/stock-clients/lib/scenario.mjs';

const EVENTS = Number(process.env.EVENTS ?? 100_000);
const FLIGHTS = 200;
const BATCH = 100;
const PER_SECOND = 1000;

const name = (flight) => `UA${1000 + flight}`;
const tags = ['airport:EWR', 'airline:UA', 'dest:IAH'];

const scheduled = (flight) => ({
  type: 'FlightScheduled', tags,
  data: {
    at: '2013-01-01T04:50', flight: name(flight), airline: 'UA', from: 'EWR', to: 'IAH', city: 'Houston IAH', gate: 'C71',
    departs: '2013-01-01T05:15', arrives: '2013-01-01T08:30',
  },
});
const delayed = (number) => ({
  type: 'FlightDelayed', tags,
  data: { at: '2013-01-01T04:55', minutes: 1, departs: `2013-01-01T${String(5 + (number % 18)).padStart(2, '0')}:${String(number % 60).padStart(2, '0')}`, by: 'airline' },
});

await scenario(`${EVENTS} events, ${PER_SECOND} a second, of ${FLIGHTS} flights`, async (world) => {
  const file = join(world.folder, 'log.db');
  const program = await (await flightdeck(world, file)).start('--no-replay');
  const other = await (await server(world, file)).start();
  const deck = await Flightdeck.visit(await browser(world), program.origin);
  await deck.page.emulateMedia({ reducedMotion: process.env.CALM ? 'reduce' : 'no-preference' });
  for (let flight = 0; flight < FLIGHTS; flight++) await append(other, flight, [scheduled(flight)]);
  await deck.until('has the flights', ({ received }) => received >= FLIGHTS);
  const before = await memory(deck.page);
  await deck.page.evaluate(countFrames);

  const began = performance.now();
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    await append(other, (sent / BATCH) % FLIGHTS, Array.from({ length: BATCH }, (_, index) => delayed(sent + index)));
    await pause(began + ((sent + BATCH) / PER_SECOND) * 1000 - performance.now());
  }
  const seconds = (performance.now() - began) / 1000;
  const frames = await deck.page.evaluate(() => window.frames);
  const { received, gaps, repeats } = await deck.until('has all events', (known) => known.received >= EVENTS + FLIGHTS);
  expect('events received, gaps and repeats', [received, gaps, repeats], [EVENTS + FLIGHTS, 0, 0]);
  const after = await memory(deck.page);
  return `${Math.round(EVENTS / seconds)} events/s, ${(frames.count / seconds).toFixed(1)} frames/s, the longest ${Math.round(frames.longest)} ms, heap ${before} MB before and ${after} MB after`;
}, 600_000);

function countFrames() {
  window.frames = { count: 0, longest: 0 };
  let last = performance.now();
  const frame = (now) => {
    window.frames.count++;
    window.frames.longest = Math.max(window.frames.longest, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** The JavaScript heap after a collection, in MB. */
async function memory(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return (usedSize / 1e6).toFixed(1);
}

async function append(program, flight, events) {
  const answer = await fetch(`${program.origin}/streams/flight-${name(flight)}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(events),
  });
  if (answer.status !== 201) throw new Error(`append: ${answer.status} ${await answer.text()}`);
}
