// Drives Gate Service's page.

import { join } from 'node:path';

import { browser } from '../../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { freePort, Program } from '../../../../../conformance-tests/stock-clients/lib/program.mjs';
import { until } from '../../../../../conformance-tests/stock-clients/lib/scenario.mjs';

/** Gate Service, with its log in a file. Its feed is closed to strangers, so the page is asked. */
class GateService extends Program {
  async get() {
    return (await fetch(`${this.origin}/`)).ok;
  }
}

export async function gateService(world) {
  return new GateService('orders', world, await freePort(), ['--db', join(world.folder, 'orders.db')], '/api/feed').start();
}

export class User {
  /** Opens the page in a browser of the user's own, and logs in. */
  static async logIn(world, origin, name) {
    const user = new User();
    user.name = name;
    user.page = await (await browser(world)).newPage();
    await user.page.goto(`${origin}/`);
    await user.page.getByRole('textbox', { name: 'Name' }).fill(name);
    await user.page.keyboard.press('Enter');
    await user.until('is live', ({ state, user }) => state === 'live' && user === name);
    return user;
  }

  /** The state of the page. */
  read() {
    return this.page.evaluate(() => ({ ...window.orders }));
  }

  until(what, condition) {
    return until(`${this.name}'s page ${what}`, async () => {
      const state = await this.read();
      return condition(state) && state;
    });
  }

  async order(item, quantity, gate) {
    await this.page.getByLabel('Item').selectOption(item);
    await this.page.getByLabel('Quantity').fill(String(quantity));
    await this.page.getByLabel('Gate').fill(gate);
    await this.page.getByRole('button', { name: 'Order' }).click();
  }

  /** Waits until the cards of a list are these, each as `gate what status`. */
  shows(list, expected) {
    const wanted = JSON.stringify(expected);
    let found;
    return until(`${this.name} sees ${wanted} in #${list}`, async () => {
      found = JSON.stringify(await this.cards(list));
      return found === wanted;
    }).catch((error) => {
      throw new Error(`${error.message}; it shows ${found}`);
    });
  }

  cards(list) {
    return this.page.locator(`#${list} .card`).evaluateAll((cards) => cards.map((card) =>
      `${card.querySelector('.gate').textContent} ${card.querySelector('.what').firstChild.textContent} ${card.dataset.status}`));
  }

  /** The row of an item in the dashboard. */
  async row(item) {
    return (await this.page.locator('#items tr', { hasText: item }).locator('td').allTextContents()).join(' ');
  }

  hasDashboard() {
    return this.page.locator('#dashboard').isVisible();
  }
}
