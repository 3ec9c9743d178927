// Long-polling: requests one page after another; the server delays its response until there are
// events. Works with every proxy.

import { fetchPage } from './page.js';

const LIMIT = 1_000;
// In seconds; the heartbeat interval of a stream.
const WAIT = 15;

/** Starts polling; see `feed.js`. */
export function open(path, filter, after, on) {
  const aborter = new AbortController();
  poll(path, filter, after, on, aborter.signal);
  return () => aborter.abort();
}

// Turns pages into the frames of a stream.
async function poll(path, filter, after, on, signal) {
  // The first request does not wait, to show that the server is reachable.
  for (let wait = 0, live = false; !signal.aborted; wait = WAIT) {
    const parameters = [...filter, ['after', after], ['limit', LIMIT], ['wait', wait]];
    const response = await fetchPage(path, parameters, signal).catch(() => null);
    if (signal.aborted) return;
    if (!response) return void on.lost();
    if (!response.ok) return void on.refused(response);

    const { events, cursor, head, more } = response;
    if (wait === 0) on.frame({ frame: 'ready', head, heartbeat_ms: WAIT * 1_000 });
    on.frame({ frame: 'events', events });
    on.frame({ frame: live || more ? 'checkpoint' : 'live', cursor, head });
    live ||= !more;
    after = cursor;
  }
}

/** Polls a live query; see `live-query.js`. */
export function watch(path, parameters, after, on) {
  const aborter = new AbortController();
  pollAnswers(path, parameters, after, on, aborter.signal);
  return () => aborter.abort();
}

async function pollAnswers(path, parameters, after, on, signal) {
  while (!signal.aborted) {
    const place = after ? [['after', after], ['wait', WAIT]] : [];
    const response = await fetchPage(path, [...parameters, ...place], signal).catch(() => null);
    if (signal.aborted) return;
    if (!response) return void on.lost();
    if (!response.ok) return void on.refused(response);
    if (!after) on.frame({ frame: 'ready', key: response.key, heartbeat_ms: WAIT * 1_000 });
    on.frame(response);
    after = response.token;
  }
}
