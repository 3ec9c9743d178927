import type { Cursor, Envelope } from "downlink";

import type { FlightRow } from "../types.gen";

export interface Counts {
  readonly received: number;
  readonly gaps: number;
  readonly repeats: number;
}

type Place = Pick<Envelope, "cursor" | "stream" | "version">;

/** How many events are remembered for tests. */
const MAX_RECENT = 20_000;

/**
 * Checks that every event arrives once and in order. Cursors grow, and sort as text. Versions count 1, 2, 3 … in every
 * stream, and all events of a stream have the same tags, so they pass the same filter.
 */
export class FeedCheck {
  #counts = { received: 0, gaps: 0, repeats: 0 };
  #cursor: Cursor = "";
  #versions = new Map<string, number>();
  /** The versions of the first board: what follows it has to continue them. */
  #board: { cursor: Cursor; versions: Map<string, number> } | undefined;
  /** The first events of streams that came before the board. */
  #first: Place[] = [];
  #recent: { cursor: Cursor; id: string }[] = [];

  get counts(): Counts {
    return { ...this.#counts };
  }

  /** The cursor of the oldest event that is remembered, and the ids of those after it. */
  get recent(): { since: Cursor | undefined; ids: string[] } {
    const [first, ...later] = this.#recent;
    return { since: first?.cursor, ids: later.map(({ id }) => id) };
  }

  /** Forgets what it knows of the log, for a feed that begins again. The counts stay. */
  restart(): void {
    this.#cursor = "";
    this.#versions.clear();
    this.#board = undefined;
    this.#first = [];
    this.#recent = [];
  }

  /** Takes the first board after the beginning. */
  startFrom(rows: readonly FlightRow[], cursor: Cursor): void {
    if (this.#board) return;
    this.#board = { cursor, versions: new Map(rows.map(({ id, version }) => [`flight-${id}`, version])) };
    for (const event of this.#first.splice(0)) this.#compare(event, this.#continued(event));
  }

  take(event: Envelope): void {
    const { cursor, id, stream, version } = event;
    this.#counts.received++;
    this.#recent.push({ cursor, id });
    if (this.#recent.length > MAX_RECENT * 1.1) this.#recent.splice(0, this.#recent.length - MAX_RECENT);
    const known = this.#versions.get(stream);
    const expected = known === undefined ? this.#continued(event) : known + 1;
    if (cursor <= this.#cursor) this.#counts.repeats++;
    else this.#compare(event, expected);
    if (known === undefined && !this.#board) this.#first.push({ cursor, stream, version });
    this.#cursor = cursor;
    this.#versions.set(stream, Math.max(version, expected - 1));
  }

  #compare({ version }: Place, expected: number): void {
    if (version < expected) this.#counts.repeats++;
    else this.#counts.gaps += version - expected;
  }

  /** The version that the first event of a stream must have; its own if that cannot be known. */
  #continued({ cursor, stream, version }: Place): number {
    if (!this.#board || cursor <= this.#board.cursor || !stream.startsWith("flight-")) return version;
    return (this.#board.versions.get(stream) ?? 0) + 1;
  }
}
