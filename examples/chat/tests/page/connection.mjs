import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { expect, scenario, until } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { chat, Visitor } from './lib/chat.mjs';

await scenario('messages survive a disconnect and a killed server', async (world) => {
  const program = await (await chat(world)).start();
  const context = await browser(world);
  const ada = await Visitor.visit(context, program.origin, 'Ada');
  const bob = await Visitor.visit(context, program.origin, 'Bob');
  const said = [];
  const say = async (visitor, words) => {
    await visitor.say(words);
    said.push(`${visitor.name}: ${words}`);
  };

  await say(ada, 'before');
  await bob.shows(said);
  await ada.page.getByRole('button', { name: 'Disconnect' }).click();
  await ada.until('is disconnected', ({ state }) => state === 'disconnected');
  for (const n of [1, 2, 3]) await say(bob, `while you were away ${n}`);
  await bob.shows(said);
  await ada.until('is live again', ({ state }) => state === 'live');
  await ada.shows(said);
  const shown = await ada.page.locator('#resumed').textContent();
  if (!/ events received, 0 missed, 0 repeated\.$/.test(shown)) throw new Error(`the page shows: '${shown}'`);

  await program.kill();
  await ada.until('waits for the server', ({ state }) => state === 'reconnecting' || state === 'connecting');
  // Written while the server is down: it is sent once the server is back.
  await say(ada, 'is anybody there?');
  await program.start();
  await bob.until('is live again', ({ state }) => state === 'live');
  await ada.shows(said);
  await bob.shows(said);
  await until("Ada's message is acknowledged", async () => (await ada.read()).acknowledged === 2);
  for (const visitor of [ada, bob]) {
    const { gaps, repeats } = await visitor.read();
    expect(`gaps and repeats on ${visitor.name}'s page`, [gaps, repeats], [0, 0]);
  }
  const stored = await fetch(`${program.origin}/api/feed?type=MessagePosted&limit=1000`).then((answer) => answer.json());
  expect('messages in the log', stored.events.map(({ data }) => `${data.name}: ${data.text}`), said);

  const took = await program.interrupt();
  await ada.until('waits for the server', ({ state }) => state === 'reconnecting' || state === 'connecting');
  return `${said.length} messages, each once; Ctrl-C took ${Math.round(took)} ms`;
});
