// Requests to the server. Each returns `{ ok, status, body, cursor }`; the body of a refusal is
// a problem document, whose `detail` says what to do.

export function get(path) {
  return send(path, {});
}

/** Sends a command, again with the same key if the answer is lost: it takes effect once. */
export async function post(path, body) {
  const request = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': uuid7() },
    body: JSON.stringify(body),
  };
  const answer = await send(path, request);
  return answer.status === 0 ? send(path, request) : answer;
}

async function send(path, request) {
  try {
    const response = await fetch(`/api${path}`, request);
    const body = response.status === 204 ? null : await response.json();
    const cursor = response.headers.get('feed-cursor');
    return { ok: response.ok, status: response.status, body, cursor };
  } catch {
    return { ok: false, status: 0, body: { detail: 'The server does not answer: try again.' }, cursor: null };
  }
}

/** A UUID of version 7: the ids that the server derives from it are ordered by time. */
function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  for (let i = 5; i >= 0; i--, time = Math.floor(time / 256)) bytes[i] = time % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
