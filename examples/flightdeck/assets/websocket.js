// A WebSocket with one subscription.

// Malformed, not authenticated, forbidden: reconnecting does not help.
const isPermanent = (code) => code >= 4400 && code < 4404;

/** Opens a socket; see `feed.js`. */
export function open(path, filter, after, on) {
  return openWith(path, { frame: 'subscribe', sub: 'page', after, filter: asJson(filter) }, on);
}

/** Opens a socket for a live query; see `live-query.js`. */
export function watch(path, query, parameters, after, on) {
  const params = Object.fromEntries(parameters);
  return openWith(path, { frame: 'watch', sub: 'page', query, params, ...(after ? { after } : {}) }, on);
}

function openWith(path, command, on) {
  const url = new URL(`${path}/ws`, document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url, 'feed.v1.json');
  let wasOpen = false;
  socket.onopen = () => {
    wasOpen = true;
    // Subscribes with a frame and not in the URL, so that a refusal is a frame, which the page can read.
    socket.send(JSON.stringify(command));
  };
  socket.onmessage = ({ data }) => on.frame(JSON.parse(data));
  socket.onclose = ({ code, reason }) => {
    if (!wasOpen) on.closed();
    else if (isPermanent(code)) on.refused({ detail: `The server closed the socket: ${reason}.`, retryable: false });
    else on.lost();
  };
  return () => socket.close();
}

// Converts pairs of name and value to an array of values for each name.
function asJson(filter) {
  const json = {};
  for (const [name, value] of filter) (json[name] ??= []).push(value);
  return json;
}
