// Checks that the feed has no gaps and no repeats.

const MAX_IDS = 20_000;

export class FeedCheck {
  received = 0;
  gaps = 0;
  repeats = 0;
  /** The ids of the events received, in order; the newest 20,000. */
  ids = [];

  #versions = new Map();
  #cursor = '';

  /** Clears the versions, for a page that starts again. The counts stay. */
  restart() {
    this.#versions.clear();
    this.#cursor = '';
  }

  /** Sets the versions of loaded flights: the feed has to continue from this cursor. */
  load(flights, cursor) {
    for (const { id, version } of flights) this.#versions.set(`flight-${id}`, version);
    this.#cursor = cursor;
  }

  /** Checks one event. */
  check({ cursor, id, stream, version }) {
    this.received += 1;
    this.ids.push(id);
    if (this.ids.length > MAX_IDS * 1.1) this.ids.splice(0, this.ids.length - MAX_IDS);
    // Cursors are ordered as text. Versions count 1, 2, 3 … in every stream, since all events of a
    // stream have the same tags and pass the same filter. A flight that was not loaded starts at 1;
    // the version of the replay, and of streams that are not FlightDeck's, is unknown at first.
    const unknown = stream.startsWith('flight-') ? 1 : version;
    const expected = this.#versions.has(stream) ? this.#versions.get(stream) + 1 : unknown;
    if (cursor <= this.#cursor || version < expected) this.repeats += 1;
    else if (version > expected) this.gaps += version - expected;
    this.#cursor = cursor;
    this.#versions.set(stream, Math.max(version, expected - 1));
  }
}
