import { once } from 'node:events';
import { createServer, request } from 'node:http';

import { browser } from '../lib/browser.mjs';
import { server } from '../lib/program.mjs';
import { expect, scenario, until } from '../lib/scenario.mjs';

// `localhost` is another site than `127.0.0.1`, under which the feed is asked.
await scenario('a page of another site gets nothing from a feed of this machine but a link to it', async (world) => {
  const program = await (await server(world)).start();
  const answers = [];
  const origin = await serve(world, '127.0.0.1', recorder(program.origin, answers));
  const [feed, stream] = [`${origin}/feed`, `${origin}/streams/flight-UA1545`];
  const html = `<!doctype html><title>another site</title><a href="${feed}">a link</a>`;
  const other = await serve(world, 'localhost', (_, response) => {
    response.setHeader('Content-Type', 'text/html').end(html);
  });
  const context = await browser(world);
  const answer = async (page, act) => {
    const tab = await context.newPage();
    await tab.goto(page);
    answers.length = 0;
    await act(tab);
    const first = await until('the browser gets an answer', () => answers[0]);
    await tab.close();
    return first;
  };

  for (const [script, destination] of [
    [`void fetch('${feed}?wait=20&after=now', { mode: 'no-cors' }).catch(() => {})`, 'empty'],
    [`void fetch('${stream}').catch(() => {})`, 'empty'],
    [`void fetch('${stream}', { mode: 'no-cors', method: 'POST', body: '{}' }).catch(() => {})`, 'empty'],
    [`void (new Image().src = '${stream}')`, 'image'],
    [`void new EventSource('${feed}')`, 'empty'],
    [`{ const frame = document.createElement('iframe'); frame.src = '${feed}'; document.body.append(frame); }`, 'iframe'],
  ]) {
    expect(script, await answer(other, (tab) => tab.evaluate(script)), ['cross-site', destination, 403]);
  }
  const linked = ['cross-site', 'document', 200];
  expect('a link', await answer(other, (tab) => tab.click('a')), linked);
  expect('a navigation', await answer(other, (tab) => tab.evaluate(`void (location.href = '${feed}')`)), linked);
  const own = await answer(origin, (tab) => tab.evaluate(`void fetch('${feed}')`));
  expect('a page of the feed itself', own, ['same-origin', 'empty', 200]);
  return '6 requests refused, 2 navigations';
});

/** Serves at this host, on a port of its own. */
async function serve(world, host, handler) {
  const site = createServer(handler).listen(0, host);
  await once(site, 'listening');
  world.defer(() => {
    site.closeAllConnections();
    site.close();
  });
  return `http://${host}:${site.address().port}`;
}

/** Passes requests on unchanged, and records what they are and the statuses of their answers. */
function recorder(origin, answers) {
  return (asked, answered) => {
    const { method, headers, url } = asked;
    const passed = request(origin, { method, headers, path: url }, (response) => {
      if (url !== '/favicon.ico') answers.push([headers['sec-fetch-site'], headers['sec-fetch-dest'], response.statusCode]);
      answered.writeHead(response.statusCode, response.headers);
      response.pipe(answered);
    });
    passed.on('error', () => answered.destroy());
    asked.pipe(passed);
  };
}
