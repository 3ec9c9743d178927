import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { replaying } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario, until } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

await scenario('the board moves, filters, pauses and resumes', async (world) => {
  const program = await replaying(world);
  const deck = await Flightdeck.visit(await browser(world), program.origin);
  const { page } = deck;
  const { received } = await deck.advance(100);
  await until('the board is full', async () => (await rows(page)).length >= 8);

  await statistics(page, /^\d+ % of \d+$/);
  await page.getByRole('button', { name: 'Routes' }).click();
  await statistics(page, /^\d+$/);

  await page.getByRole('button', { name: 'JFK Kennedy' }).click();
  await shows(page, 'flights from JFK', (row) => / from JFK /.test(row));
  await page.getByLabel('Airline').selectOption('B6');
  await shows(page, "JetBlue's flights from JFK", (row) => /^B6\d+ from JFK /.test(row));
  await page.getByLabel('Type').selectOption('FlightScheduled');
  await until('the log shows one type', async () => {
    const types = await page.locator('#log details').evaluateAll((lines) => lines.map((line) => line.dataset.type));
    return types.length > 0 && types.every((type) => type === 'FlightScheduled');
  });
  await page.reload();
  await shows(page, 'the same after a reload', (row) => /^B6\d+ from JFK /.test(row));

  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  const head = await program.head();
  await page.getByRole('button', { name: 'All airports' }).click();
  await page.getByLabel('Airline').selectOption('');
  await deck.check(program);
  await page.screenshot({ path: `${world.folder}/board.png` });
  expect('the head while the replay is paused', await program.head(), head);
  // With tiles that turn.
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  await page.getByRole('button', { name: 'Resume' }).click();
  await deck.advance(50);
  const after = await deck.read();
  expect('gaps and repeats', [after.gaps, after.repeats], [0, 0]);
  return `${received} events for a full board, gaps 0, repeats 0`;
});

// Waits until the panel has lines whose last columns match.
function statistics(page, end) {
  return until('the panel has statistics', async () => {
    const ends = await page.locator('.chart td:last-child').allTextContents();
    return ends.length > 0 && ends.every((text) => end.test(text));
  });
}

// The rows, as a screen reader reads them.
function rows(page) {
  return page.locator('#rows button:enabled .unseen').allTextContents();
}

function shows(page, what, condition) {
  return until(`the board shows ${what}`, async () => {
    const shown = await rows(page);
    return shown.length > 0 && shown.every(condition);
  });
}
