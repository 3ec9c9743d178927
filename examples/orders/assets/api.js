// Requests to the server, by the package.

import { connect } from './downlink.js';

/** @import { Api } from './downlink.js' */

// ANCHOR: session
/** The server, for one user: what is opened with the cookie of a user must not be used for another one. */
export const session = () => connect('/api');
// ANCHOR_END: session

/** Loads a view: `{ ok, status, body, cursor }`. */
export async function get(path) {
  try {
    const response = await fetch(`/api${path}`);
    return { ok: response.ok, status: response.status, body: await response.json(), cursor: response.headers.get('feed-cursor') };
  } catch {
    return { ok: false, status: 0, body: null, cursor: null };
  }
}

/**
 * Sends a command, again with the same key if the answer is lost: it takes effect once.
 *
 * @param {Api} api
 * @returns {Promise<{ refused?: string, status: number, cursor?: string }>} `refused` says why, if it was
 */
export async function send(api, path, body) {
  try {
    return await api.post(path, body, { timeout: 10_000 });
  } catch (error) {
    return { refused: error.problem?.detail ?? 'The server does not answer: try again.', status: error.status };
  }
}
