// Commands to the server, and what it answers.

const RETRY_MS = 500;

/**
 * Sends a command. Gives the cursor of what it wrote, or the sentence by which it was
 * refused: `{ cursor }` or `{ refusal }`.
 *
 * A command whose answer was lost is sent once more with the same key, by which the server
 * knows it: it happens once.
 */
export async function post(path, body) {
  const request = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': uuid7() },
    body: JSON.stringify(body),
  };
  try {
    const answer = await fetch(path, request).catch(async () => {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return fetch(path, request);
    });
    if (answer.ok) return { cursor: answer.headers.get('Feed-Cursor') ?? '' };
    return { refusal: (await answer.json()).detail };
  } catch {
    return { refusal: 'The server cannot be reached; nothing was done, or nobody knows. Try again.' };
  }
}

/** A UUID of version 7: the ids that the server derives from it rise with time. */
function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  for (let i = 5; i >= 0; i--, time = Math.floor(time / 256)) bytes[i] = time % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
