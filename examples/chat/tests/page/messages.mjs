import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { chat, Visitor } from './lib/chat.mjs';

await scenario('two people chat, in two tabs', async (world) => {
  const program = await (await chat(world)).start();
  const context = await browser(world);
  const ada = await Visitor.visit(context, program.origin, 'Ada');
  const bob = await Visitor.visit(context, program.origin, 'Bob');
  await ada.sees(['Ada', 'Bob']);
  await bob.sees(['Ada', 'Bob']);

  await ada.say('UA1545 is at the gate');
  await bob.say('<b>thanks</b> & good night');
  await bob.say('boarding at 04:47');
  const said = ['Ada: UA1545 is at the gate', 'Bob: <b>thanks</b> & good night', 'Bob: boarding at 04:47'];
  await ada.shows(said);
  await bob.shows(said);

  await bob.enter('Ramp');
  await ada.sees(['Ada', 'BobRamp']);
  await bob.say('fuel is on its way');
  await ada.page.locator('[data-room="room-ramp"] .badge', { hasText: '1' }).waitFor();
  await ada.shows(said);
  await ada.page.screenshot({ path: `${world.folder}/chat.png` });
  await ada.enter('Ramp');
  await ada.shows(['Bob: fuel is on its way']);

  await ada.page.getByLabel('Room name').fill('Hangar 7');
  await ada.page.getByRole('button', { name: 'Create', exact: true }).click();
  await ada.page.getByRole('heading', { name: 'Hangar 7' }).waitFor();
  await bob.enter('Hangar 7');
  await bob.sees(['Ada', 'Bob']);
  await bob.page.close();
  await ada.sees(['Ada']);

  const { sent, acknowledged, gaps, repeats } = await ada.read();
  expect("Ada's messages and their acknowledgements", [sent, acknowledged, gaps, repeats], [1, 1, 0, 0]);
  return 'messages, rooms and people';
});
