// Server-sent events, with the browser's EventSource: it reconnects by itself, and sends the last id
// that it has received.

const FRAMES = ['ready', 'result', 'rows', 'live', 'behind', 'checkpoint', 'heartbeat', 'reset', 'problem', 'bye'];

/** Opens a stream; see `feed.js`. */
export function open(path, filter, after, on) {
  const query = new URLSearchParams([...filter, ...(after ? [['after', after]] : []), ['heartbeat', 'event']]);
  const source = new EventSource(`${path}?${query}`);
  source.onmessage = ({ data }) => on.frame({ frame: 'events', events: [JSON.parse(data)] });
  for (const name of FRAMES) {
    source.addEventListener(`feed.${name}`, ({ data }) => on.frame(JSON.parse(data)));
  }
  source.onerror = () => (source.readyState === EventSource.CLOSED ? on.closed() : on.reconnecting());
  return () => source.close();
}
