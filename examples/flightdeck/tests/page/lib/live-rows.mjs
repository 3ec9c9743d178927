// The rows of a live query, followed by hand: what the page is compared with.

// ANCHOR: rows
export class LiveRows {
  /** What the rows are the answer of: where to resume. Opaque. */
  token = '';
  rows = [];

  #key = '';

  /** Applies a frame. Returns whether the rows have changed; throws if the frame is of other rows. */
  apply(frame) {
    if (frame.key) this.#key = frame.key;
    if (frame.frame === 'result') this.rows = frame.rows;
    if (frame.frame === 'rows') this.#change(frame);
    if (frame.token) this.token = frame.token;
    return frame.frame === 'result' || frame.frame === 'rows';
  }

  #change({ base, put, del, order }) {
    // The token ends in the hash of the rows.
    if (!this.token.endsWith(`~${base}`)) throw new Error('a change of rows that are not here');
    const rows = new Map(this.rows.map((row) => [row[this.#key], row]));
    for (const key of del) rows.delete(key);
    for (const row of put) rows.set(row[this.#key], row); // a new key goes last
    this.rows = order ? order.map((key) => rows.get(key)) : [...rows.values()];
  }
}
// ANCHOR_END: rows
