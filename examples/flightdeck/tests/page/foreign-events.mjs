import { join } from 'node:path';

import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { flightdeck, server } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

// What another program can append to the same log: types that the page does not know, and invalid
// payloads of types that it knows.
const tags = ['airport:EWR', 'airline:UA', 'dest:IAH'];
const foreign = [
  { type: 'WeatherReported', data: {}, tags },
  ...['FlightScheduled', 'FlightDelayed', 'FlightLanded', 'ReplayPaused', 'ReplaySpeedChanged'].flatMap((type) => [
    { type, data: null, tags },
    { type, data: { at: 'soon', clock: 7, departs: null }, tags },
    { type, data: [20], tags },
    { type, data_base64: 'AP8=', content_type: 'application/octet-stream', tags },
  ]),
];

await scenario('foreign events do not affect the page', async (world) => {
  const file = join(world.folder, 'log.db');
  const program = await (await flightdeck(world, file)).start('--speed', '60');
  const other = await (await server(world, file)).start();
  const context = await browser(world);
  const decks = [];
  for (const transport of ['sse', 'websocket', 'long-poll']) {
    decks.push(await Flightdeck.visit(context, program.origin, `transport=${transport}`));
  }
  for (const deck of decks) await deck.advance(10);
  for (const stream of ['weather', 'flight-XX1', 'flight-UA1545']) await append(other, stream, foreign);
  for (const deck of decks) await deck.advance(10);
  await other.interrupt();

  // The same for a new page and a restarted program.
  await program.interrupt();
  await program.start('--speed', '60');
  decks.push(await Flightdeck.visit(context, program.origin));
  for (const deck of decks) await deck.advance(10);
  await pauseReplay(program);
  for (const deck of decks) await deck.check(program);
  return `${3 * foreign.length} foreign events`;
});

async function append(program, stream, events) {
  const answer = await fetch(`${program.origin}/streams/${stream}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(events),
  });
  expect('the answer to an append', answer.status, 201);
}
