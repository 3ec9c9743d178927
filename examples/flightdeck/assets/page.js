// One page of the feed, as JSON.

// ANCHOR: page
/**
 * Gives the page, or the problem that the server has with it: its `code`, its `detail` and
 * whether it is `retryable`. `wait` is for how many milliseconds it wants to be left alone.
 *
 * Fails if there is no answer, or one that is not of this server but of a proxy.
 */
export async function page(path, parameters, signal) {
  // Past the cache: Chromium lets those who ask for the same URL wait for each other there.
  const asJson = { headers: { Accept: 'application/json' }, cache: 'no-store', signal };
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`, asJson);
  const wait = Number(answer.headers.get('Retry-After')) * 1_000;
  return { ...(await answer.json()), ok: answer.ok, wait };
}
// ANCHOR_END: page
