import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { replaying } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

await scenario('a visitor changes a flight, and every page shows it', async (world) => {
  const program = await replaying(world);
  const context = await browser(world);
  const visitor = await Flightdeck.visit(context, program.origin);
  const other = await Flightdeck.visit(context, program.origin);
  await visitor.advance(50);
  await pauseReplay(program);
  await visitor.check(program);
  await visitor.shows('board');

  const row = visitor.page.locator('#rows button:is([data-status="scheduled"], [data-status="boarding"])').first();
  const flight = (await row.locator('.unseen').textContent()).split(' ')[0];
  await open(visitor.page, flight);
  await visitor.page.getByLabel('Minutes').fill('10');
  await visitor.page.getByLabel('Reason').fill('<b>fog</b> & snow');
  await visitor.page.screenshot({ path: `${world.folder}/flight-dialog.png` });
  await visitor.page.getByRole('button', { name: 'Delay', exact: true }).click();
  for (const deck of [visitor, other]) {
    await showsStatus(deck, flight, 'Delayed');
    await deck.page.locator('#log').getByText(`${flight} 10 min later`).getByText('by a visitor: <b>fog</b> & snow').waitFor();
  }
  await visitor.page.getByText(/The event arrived (\d+ ms after|before) the response/).waitFor();

  await open(visitor.page, flight);
  await visitor.page.getByLabel('Gate', { exact: true }).fill('q99');
  await visitor.page.getByRole('button', { name: 'Change gate' }).click();
  for (const deck of [visitor, other]) {
    await rowLike(deck.page, `^${flight} .*gate Q99$`).waitFor();
    await deck.page.locator('#log').getByText(`${flight} now at gate Q99, by a visitor`).waitFor();
  }

  await open(visitor.page, flight);
  await visitor.page.getByRole('button', { name: 'Cancel this flight' }).click();
  for (const deck of [visitor, other]) await showsStatus(deck, flight, 'Cancelled');
  await visitor.check(program);
  await other.check(program);
  expect("the flight's newest events", (await types(program, flight)).slice(-3), ['FlightDelayed', 'GateChanged', 'FlightCancelled']);
  return `${flight}: a delay, a change of gate and a cancellation, on 2 pages`;
});

// The row whose text, as a screen reader reads it, has this form.
function rowLike(page, pattern) {
  return page.locator('#rows').getByRole('button', { name: new RegExp(pattern) });
}

async function open(page, flight) {
  await rowLike(page, `^${flight} `).click();
  await page.getByRole('heading', { name: flight }).waitFor();
}

// Selects the view of that status: on the board, the flight may be on another page.
async function showsStatus(deck, flight, status) {
  await deck.page.locator('#views').getByRole('button', { name: status }).click();
  await deck.shows(status.toLowerCase());
  await rowLike(deck.page, `^${flight} .*${status}`).waitFor();
}

async function types(program, flight) {
  const answer = await fetch(`${program.origin}/api/streams/flight-${flight}`);
  return (await answer.json()).events.map(({ type }) => type);
}
