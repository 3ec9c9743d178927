import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { Flightdeck, pauseReplay } from '../../../../conformance-tests/stock-clients/lib/flightdeck.mjs';
import { replaying } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';

const BUTTONS = { 'long-poll': 'Long-poll', sse: 'SSE', websocket: 'WebSocket' };

await scenario('a page switches its transport, and every transport reconnects', async (world) => {
  const program = await replaying(world);
  const context = await browser(world);
  const deck = await Flightdeck.visit(context, program.origin);
  const opened = connections(deck.page);
  const { transport: first, since } = await deck.advance(50);
  expect('the transport at first', first, 'websocket');

  for (const [transport, name] of Object.entries(BUTTONS)) {
    await deck.page.getByRole('button', { name }).click();
    await deck.until(`is live over ${transport}`, (known) => known.transport === transport && known.state === 'live');
    opened.length = 0;
    await deck.page.getByRole('button', { name: 'Disconnect' }).click();
    await deck.until('is disconnected', ({ state }) => state === 'disconnected');
    await deck.advance(50);
    expect(`the connections of a page that uses ${transport}`, [...new Set(opened)], [transport]);
    expect('the transport in the URL', new URL(deck.page.url()).searchParams.get('transport') ?? 'websocket', transport);
  }

  // One page for each, while their server is killed.
  const decks = [deck];
  for (const transport of ['sse', 'long-poll']) {
    decks.push(await Flightdeck.visit(context, program.origin, `transport=${transport}`));
    expect('the transport that the URL names', (await decks.at(-1).read()).transport, transport);
  }
  await all(decks, (page) => page.advance(50));
  await program.kill();
  await all(decks, (page) => page.until('waits for the server', ({ state }) => state === 'reconnecting'));
  await program.start();
  await all(decks, (page) => page.advance(50));
  await pauseReplay(program);
  await all(decks, (page) => page.check(program));
  const { received, since: still } = await deck.read();
  expect('the cursor of the first event, which no switch and no restart changes', still, since);

  const took = await program.interrupt();
  await all(decks, (page) => page.until('waits again', ({ state }) => state === 'reconnecting'));
  return `${received} events over 3 transports, gaps 0, repeats 0; Ctrl-C took ${Math.round(took)} ms`;
});

// Collects the transports of the connections that a page opens from now on.
function connections(page) {
  const opened = [];
  page.on('websocket', () => opened.push('websocket'));
  page.on('request', (request) => {
    if (request.headers().accept === 'text/event-stream' && /\/feed\?/.test(request.url())) opened.push('sse');
    if (/\/feed\?.*\bwait=/.test(request.url())) opened.push('long-poll');
  });
  return opened;
}

function all(decks, what) {
  return Promise.all(decks.map(what));
}
