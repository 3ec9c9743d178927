// Long-polling: pages, asked for one after the other, of which the server holds the next back
// until there is something. Comes through every proxy.

import { page } from './page.js';

const LIMIT = 1_000;
// As often as a stream gives a sign of life.
const WAIT = 15;

/** Begins to ask; `feed.js` says what a transport does. */
export function open(path, filter, after, on) {
  const hungUp = new AbortController();
  poll(path, filter, after, on, hungUp.signal);
  return () => hungUp.abort();
}

// The pages as the frames that a stream would have had.
async function poll(path, filter, after, on, signal) {
  // The first answer comes at once, and says that there is a server.
  for (let wait = 0, live = false; !signal.aborted; wait = WAIT) {
    const parameters = [...filter, ['after', after], ['limit', LIMIT], ['wait', wait]];
    const answer = await page(path, parameters, signal).catch(() => null);
    if (signal.aborted) return;
    if (!answer) return void on.lost();
    if (!answer.ok) return void on.refused(answer);

    const { events, cursor, head, more } = answer;
    if (wait === 0) on.frame({ frame: 'ready', head, heartbeat_ms: WAIT * 1_000 });
    on.frame({ frame: 'events', events });
    on.frame({ frame: live || more ? 'checkpoint' : 'live', cursor, head });
    live ||= !more;
    after = cursor;
  }
}
