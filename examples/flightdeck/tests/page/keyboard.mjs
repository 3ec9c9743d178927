import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { replaying } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario, until } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

await scenario('a visitor without a mouse selects flights, and delays one', async (world) => {
  const program = await replaying(world);
  const deck = await Flightdeck.visit(await browser(world), program.origin);
  const { keyboard } = deck.page;
  await deck.advance(60);
  await pauseReplay(program);
  await deck.check(program);

  await deck.page.locator('body').press('Tab');
  expect('the first element', await focused(deck.page), 'Skip to the board');
  await keyboard.press('Enter');
  await keyboard.press('Tab');
  const first = await focused(deck.page);
  await keyboard.press('ArrowDown');
  const second = await focused(deck.page);
  await keyboard.press('ArrowUp');
  expect('the row after down and up', await focused(deck.page), first);
  if (first === second) throw new Error(`the focus did not move from '${first}'`);

  // The first row that is still on the ground.
  const ids = await deck.page.locator('#rows button:enabled .unseen').allTextContents();
  const place = ids.findIndex((text) => /On time|Boarding|Delayed/.test(text));
  for (let row = 0; row < place; row++) await keyboard.press('ArrowDown');
  const flight = (await focused(deck.page)).split(' ')[0];
  await keyboard.press('Enter');
  await deck.page.getByRole('heading', { name: flight }).waitFor();
  await tabTo(deck.page, 'Minutes');
  await keyboard.press('ControlOrMeta+A');
  await keyboard.type('25');
  await tabTo(deck.page, 'Delay');
  await keyboard.press('Enter');
  await deck.page.getByRole('dialog').waitFor({ state: 'detached' });
  await until('the focus is back on the board', async () => /^[A-Z0-9]+ from /.test(await focused(deck.page)));
  await until('the flight is delayed', async () => (await deck.board()).rows.find(({ id }) => id === flight).status === 'delayed');

  await open(deck.page, 'Enter');
  await keyboard.press('Escape');
  await deck.page.getByRole('dialog').waitFor({ state: 'detached' });
  await tabTo(deck.page, 'Delayed');
  await keyboard.press('Space');
  await deck.shows('delayed');
  expect('the view', await deck.page.locator('#views [aria-pressed="true"]').textContent().then((text) => text.split(' ')[0]), 'Delayed');
  await deck.check(program);
  return `${flight} was delayed`;
});

async function open(page, key) {
  await page.keyboard.press(key);
  await page.getByRole('dialog').waitFor();
}

/** Presses Tab until this element has the focus. */
async function tabTo(page, name) {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press('Tab');
    if ((await focused(page)).startsWith(name)) return;
  }
  throw new Error(`'${name}' cannot be reached with Tab`);
}

/** What a screen reader says of the element with the focus. */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.textContent ?? element.ariaLabel;
    return (label ?? element.querySelector('.unseen')?.textContent ?? element.textContent).trim();
  });
}
