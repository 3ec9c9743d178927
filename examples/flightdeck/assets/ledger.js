// Checks what the feed promises, event by event: nothing missing, nothing twice.

const KEPT = 20_000;

export class Ledger {
  received = 0;
  gaps = 0;
  repeats = 0;
  /** The ids of the events received, in order; the newest 20,000. */
  ids = [];

  #versions = new Map();
  #cursor = '';

  /** Forgets where the streams are, for a page that begins again. The counts stay. */
  restart() {
    this.#versions.clear();
    this.#cursor = '';
  }

  /** The page has loaded these flights as they are at a cursor: the feed has to go on from there. */
  load(flights, cursor) {
    for (const { id, version } of flights) this.#versions.set(`flight-${id}`, version);
    this.#cursor = cursor;
  }

  /** Takes note of one event. */
  check({ cursor, id, stream, version }) {
    this.received += 1;
    this.ids.push(id);
    if (this.ids.length > KEPT * 1.1) this.ids.splice(0, this.ids.length - KEPT);
    // Cursors sort as text. Versions count 1, 2, 3 … in every stream, since all events of
    // a stream carry the same tags and so pass the same filter. A flight that was not loaded
    // begins; of the replay, and of streams that are not FlightDeck's, the page does not know
    // where they are.
    const unknown = stream.startsWith('flight-') ? 1 : version;
    const expected = this.#versions.has(stream) ? this.#versions.get(stream) + 1 : unknown;
    if (cursor <= this.#cursor || version < expected) this.repeats += 1;
    else if (version > expected) this.gaps += version - expected;
    this.#cursor = cursor;
    this.#versions.set(stream, Math.max(version, expected - 1));
  }
}
