import { readFileSync } from 'node:fs';

import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck, pauseReplay, resumeReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { replaying } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

const AXE = readFileSync(new URL('../../page/node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const LOOKS = [
  ['dark', { colorScheme: 'dark', viewport: DESKTOP }],
  ['light', { colorScheme: 'light', viewport: DESKTOP }],
  ['phone-dark', { colorScheme: 'dark', viewport: PHONE, hasTouch: true }],
  ['phone-light', { colorScheme: 'light', viewport: PHONE, hasTouch: true }],
];

await scenario('the page can be used by everyone: axe finds nothing, and a phone has room for it', async (world) => {
  const program = await replaying(world);
  const opened = (await browser(world)).browser();
  let passes = 0;
  for (const [name, look] of LOOKS) {
    const context = await opened.newContext({ ...look, reducedMotion: 'reduce' });
    const deck = await Flightdeck.visit(context, program.origin);
    const { page } = deck;
    await deck.advance(60);
    await pauseReplay(program);
    await deck.check(program);
    const seen = async (what) => {
      await page.screenshot({ path: `${world.folder}/${name}-${what}.png`, fullPage: name.startsWith('phone') });
      passes += await audit(page, `${name}, ${what}`);
    };
    await seen('board');
    expect('pixels that the page is wider than the window', await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
    await page.getByRole('button', { name: 'Routes' }).click();
    await page.locator('.chart rect.departed').first().waitFor();
    await page.locator('#log summary').first().click();
    await seen('routes');
    await page.locator('#rows button:is([data-status="scheduled"], [data-status="boarding"], [data-status="delayed"])').first().click();
    await page.locator('.history li').first().waitFor();
    await seen('dialog');
    await page.getByRole('button', { name: 'Close' }).click();
    await context.close();
    await resumeReplay(program);
  }
  return `${LOOKS.length} looks, ${passes} rules of axe passed`;
}, 240_000);

/** Checks the page with axe. Returns how many rules passed. */
async function audit(page, what) {
  // Not as a script of the page, which its policy forbids.
  await page.evaluate(AXE);
  const { passes, violations } = await page.evaluate(() => window.axe.run());
  const found = violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`) }));
  expect(`what axe finds: ${what}`, found, []);
  return passes.length;
}
