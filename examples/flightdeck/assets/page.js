// Requests one page of the feed as JSON.

// ANCHOR: page
/**
 * Returns the page, or the problem with its `code`, its `detail` and whether it is `retryable`.
 * `wait` is the server's `Retry-After` in milliseconds.
 *
 * Fails if there is no response, or if it is not JSON, such as that of a proxy.
 */
export async function fetchPage(path, parameters, signal) {
  // Bypasses the cache, where Chromium serialises requests for the same URL.
  const asJson = { headers: { Accept: 'application/json' }, cache: 'no-store', signal };
  const response = await fetch(`${path}?${new URLSearchParams(parameters)}`, asJson);
  const wait = Number(response.headers.get('Retry-After')) * 1_000;
  return { ...(await response.json()), ok: response.ok, wait };
}
// ANCHOR_END: page
