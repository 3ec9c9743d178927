import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { expect, scenario, until } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { chat, Visitor } from './lib/chat.mjs';

await scenario('messages survive a cut connection and a killed server', async (world) => {
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
  await ada.page.getByRole('button', { name: 'Drop my connection' }).click();
  await ada.until('is cut off', ({ state }) => state === 'dropped');
  for (const n of [1, 2, 3]) await say(bob, `while you were away ${n}`);
  await bob.shows(said);
  await ada.until('is back', ({ state }) => state === 'live');
  await ada.shows(said);
  const told = await ada.page.locator('#back').textContent();
  if (!/ events caught up: 0 missed, 0 twice\.$/.test(told)) throw new Error(`the page says: '${told}'`);

  await program.kill();
  await ada.until('waits for the server', ({ state }) => state === 'waiting' || state === 'connecting');
  // Written while nobody is there to take it: it is sent when the server is back, once.
  await say(ada, 'is anybody there?');
  await program.start();
  await bob.until('is back', ({ state }) => state === 'live');
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
  await ada.until('waits for the server', ({ state }) => state === 'waiting' || state === 'connecting');
  return `${said.length} messages, each once; Ctrl-C took ${Math.round(took)} ms`;
});
