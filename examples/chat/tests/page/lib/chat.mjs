// Drives Crew Chat's page.

import { join } from 'node:path';

import { freePort, Program } from '../../../../../conformance-tests/stock-clients/lib/program.mjs';
import { until } from '../../../../../conformance-tests/stock-clients/lib/scenario.mjs';

/** Crew Chat with a log in a file. */
export async function chat(world) {
  const file = join(world.folder, 'chat.db');
  return new Program('chat', world, await freePort(), ['--db', file], '/api/feed');
}

export class Visitor {
  /** Opens the page and joins with this name. */
  static async visit(context, origin, name) {
    const visitor = new Visitor();
    visitor.name = name;
    visitor.page = await context.newPage();
    await visitor.page.goto(`${origin}/`);
    await visitor.page.getByRole('textbox', { name: 'Your name' }).fill(name);
    await visitor.page.getByRole('button', { name: 'Join' }).click();
    await visitor.until('is live', ({ state, room }) => state === 'live' && room);
    return visitor;
  }

  /** The state of the page. */
  read() {
    return this.page.evaluate(() => ({ ...window.chat }));
  }

  until(what, condition) {
    return until(`${this.name}'s page ${what}`, async () => {
      const state = await this.read();
      return condition(state) && state;
    });
  }

  async say(words) {
    await this.page.getByLabel('Message', { exact: true }).fill(words);
    await this.page.getByRole('button', { name: 'Send' }).click();
  }

  async enter(room) {
    await this.page.getByRole('navigation').getByRole('button', { name: room }).click();
    await this.page.getByRole('heading', { name: room, exact: true }).waitFor();
  }

  /** The displayed messages, each as `name: words`. */
  messages() {
    return this.page.locator('#messages .message:not(.pending)').evaluateAll((lines) =>
      lines.map((line) => `${line.querySelector('.by').firstChild.textContent}: ${line.querySelector('.words').textContent}`));
  }

  shows(expected) {
    const wanted = JSON.stringify(expected);
    return until(`${this.name} sees ${wanted}`, async () => JSON.stringify(await this.messages()) === wanted);
  }

  people() {
    return this.page.locator('#people li').allTextContents();
  }

  sees(expected) {
    const wanted = JSON.stringify(expected);
    return until(`${this.name} sees the people ${wanted}`, async () => JSON.stringify(await this.people()) === wanted);
  }
}
