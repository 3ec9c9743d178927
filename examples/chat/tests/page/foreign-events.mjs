import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { chat, Visitor } from './lib/chat.mjs';

// What any client can append: types that the page does not know, and invalid payloads of types that
// it knows.
const foreign = [
  { type: 'WeatherReported', data: {} },
  ...['RoomOpened', 'PersonJoined', 'PersonLeft', 'MessagePosted'].flatMap((type) => [
    { type, data: null },
    { type, data: 7 },
    { type, data: [] },
    { type, data: {} },
    { type, data_base64: 'AP8=', content_type: 'application/octet-stream' },
  ]),
];

await scenario('what foreign programs append costs a page nothing else', async (world) => {
  const program = await (await chat(world)).start();
  const context = await browser(world);
  const ada = await Visitor.visit(context, program.origin, 'Ada');
  await ada.say('before');
  await ada.shows(['Ada: before']);

  const posted = (person, name, text) => ({ type: 'MessagePosted', data: { person, name, text } });
  const between = posted('0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11', 'Bob', 'between');
  // One append is one frame: a good event after the bad ones is shown, too.
  await append(program, 'room-tower', [...foreign, between]);
  await ada.say('after');
  await ada.until('shows the next message', async () => (await ada.messages()).at(-1) === 'Ada: after');
  expect("Ada's page has the good event of the same frame", (await ada.messages()).includes('Bob: between'), true);
  await ada.sees(['Ada']);

  // The same for a new page and a restarted program.
  await program.interrupt();
  await program.start();
  const eve = await Visitor.visit(context, program.origin, 'Eve');
  await eve.until('shows the next message', async () => (await eve.messages()).at(-1) === 'Ada: after');
  await eve.enter('Ramp');
  await eve.say('still here');
  await eve.shows(['Eve: still here']);
  const { gaps, repeats } = await ada.read();
  expect('gaps and repeats', [gaps, repeats], [0, 0]);
  return `${foreign.length} foreign events`;
});

async function append(program, stream, events) {
  const answer = await fetch(`${program.origin}/api/streams/${stream}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(events),
  });
  expect('the answer to an append', answer.status, 201);
}
