// A WebSocket with one subscription on it.

// Malformed, not authenticated, forbidden: what it was closed for does not pass.
const isForGood = (code) => code >= 4400 && code < 4404;

/** Opens a socket; `feed.js` says what a transport does. */
export function open(path, filter, after, on) {
  const url = new URL(`${path}/ws`, document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url, 'feed.v1.json');
  let wasOpen = false;
  socket.onopen = () => {
    wasOpen = true;
    // Said on the socket and not in its URL, so that a refusal is a frame, which a page can read.
    socket.send(JSON.stringify({ frame: 'subscribe', sub: 'page', after, filter: asJson(filter) }));
  };
  socket.onmessage = ({ data }) => on.frame(JSON.parse(data));
  socket.onclose = ({ code, reason }) => {
    if (!wasOpen) on.closed();
    else if (isForGood(code)) on.refused({ detail: `The server closed the socket: ${reason}.`, retryable: false });
    else on.lost();
  };
  return () => socket.close();
}

// Pairs of name and value, as an array of values for each name.
function asJson(filter) {
  const json = {};
  for (const [name, value] of filter) (json[name] ??= []).push(value);
  return json;
}
