// Chromium, with a page that follows a feed with the native EventSource.

import { readFileSync } from 'node:fs';

import { chromium as playwright } from 'playwright-core';

import { chromium } from './scenario.mjs';

const ARGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** A headless Chromium. Errors of its pages are printed. */
export async function browser(world) {
  const launched = await playwright.launch({ executablePath: chromium, args: ARGS });
  world.defer(() => launched.close());
  // Without a graphics card, FlightDeck's tiles keep a processor busy while they turn.
  const context = await launched.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  context.on('weberror', (error) => console.log(`  the page failed: ${error.error().stack}`));
  return context;
}

/** Follows a feed as `reader.js` does. */
export class EventSourceClient {
  name = 'EventSource';

  constructor(context) {
    this.context = context;
  }

  /** Opens a page that follows the feed, after a cursor or from the beginning. */
  async follow(origin, cursor = '') {
    this.page = await this.context.newPage();
    // The page has the same origin as the feed, like a page of the application.
    const script = readFileSync(new URL('reader.js', import.meta.url), 'utf8');
    const body = `<!doctype html><title>reader</title><script>${script}</script>`;
    const url = `${origin}/reader?cursor=${cursor}`;
    await this.page.route(url, (route) => route.fulfill({ contentType: 'text/html', body }));
    await this.page.goto(url);
    await this.page.unroute(url);
  }

  /** The id of the newest event. */
  newest() {
    return this.page.evaluate(() => window.reader.newest);
  }

  received() {
    return this.page.evaluate(() => window.reader.received);
  }

  /** Closes the connection and reconnects. */
  drop() {
    return this.page.evaluate(() => window.reader.drop());
  }

  /** The statuses that the page received when it asked why its EventSource was CLOSED. */
  answers() {
    return this.page.evaluate(() => window.reader.answers);
  }
}
