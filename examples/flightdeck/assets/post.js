// Sends commands to the server.

const RETRY_MS = 500;

/**
 * Sends a command. Returns `{ cursor }` of its event, or `{ refusal }` with a message.
 *
 * If the response is lost, the command is sent again with the same key, and is executed once.
 */
export async function post(path, body) {
  const request = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': uuid7() },
    body: JSON.stringify(body),
  };
  try {
    const response = await fetch(path, request).catch(async () => {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return fetch(path, request);
    });
    if (response.ok) return { cursor: response.headers.get('Feed-Cursor') ?? '' };
    return { refusal: (await response.json()).detail };
  } catch {
    return { refusal: 'The server cannot be reached. The command may have been executed; try again.' };
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
