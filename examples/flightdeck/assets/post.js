// Commands to the server, and what it answers.

/**
 * Sends a command. Gives the cursor of what it wrote, or the sentence by which it was
 * refused: `{ cursor }` or `{ refusal }`.
 */
export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (answer.ok) return { cursor: answer.headers.get('Feed-Cursor') ?? '' };
    return { refusal: (await answer.json()).detail };
  } catch {
    return { refusal: 'The server cannot be reached; nothing was done, or nobody knows. Try again.' };
  }
}
