// Requests to the server. Each returns `{ ok, status, body, cursor }`; the body of a refusal is
// a problem document, whose `detail` says what to do.

export function get(path) {
  return send(path, {});
}

/** Sends a command. The key makes a repeated request take effect once. */
export function post(path, body, key = crypto.randomUUID()) {
  return send(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify(body),
  });
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
