import { createHash } from "node:crypto";

export interface Row {
  flight: string;
  gate: string;
}

interface Version {
  rows: Row[];
  cursor: string;
}

/** A live query's answer, with what a server sends of it. */
export class LiveRows {
  now: Version = { rows: [], cursor: "0000000000000000-00000000" };
  #history = new Map<string, Row[]>();
  #watchers = new Set<() => void>();

  /** The answer as of this position. */
  set(position: number, rows: Row[]): void {
    const digits = position.toString(16);
    this.now = { rows, cursor: `${digits.padStart(16, "0")}-${digits.padStart(8, "0")}` };
    for (const tell of this.#watchers) tell();
  }

  get hash(): string {
    const hash = createHash("sha256").update(JSON.stringify(this.now.rows)).digest("hex").slice(0, 16);
    this.#history.set(hash, this.now.rows);
    return hash;
  }

  get token(): string {
    return `${this.now.cursor}~${this.hash}`;
  }

  /** What a client that holds this token is sent. */
  frameAfter(token: string | null | undefined): { frame: string } {
    const base = token?.split("~")[1];
    const held = base && this.#history.get(base);
    const { cursor, rows } = this.now;
    const head = { token: this.token, cursor };
    if (base === this.hash) return { frame: "checkpoint", ...head };
    if (!held) return { frame: "result", ...head, head: cursor, rows } as { frame: string };
    const same = (row: Row) => held.some((other) => JSON.stringify(other) === JSON.stringify(row));
    const put = rows.filter((row) => !same(row));
    const del = held.filter(({ flight }) => !rows.some((row) => row.flight === flight)).map(({ flight }) => flight);
    return { frame: "rows", base, ...head, put, del, order: rows.map(({ flight }) => flight) } as { frame: string };
  }

  /** Calls this after each change; returns how to end that. */
  watch(tell: () => void): () => void {
    this.#watchers.add(tell);
    return () => void this.#watchers.delete(tell);
  }

  get watchers(): number {
    return this.#watchers.size;
  }
}
