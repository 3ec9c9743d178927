import type { Follow } from "./feed.js";
import type { Spec } from "./source.js";
import { end, type Is, keyOf, type Run } from "./tab-messages.js";
import type { Status } from "./types.js";

/** A connection of the leader. */
export class Upstream {
  wanted = Date.now();
  status: Status = { state: "catching-up" };
  readonly #closed = new AbortController();

  constructor(spec: Spec, public at: string, alone: Follow, send: (message: Run | Is) => void, remove: () => void) {
    const key = keyOf(spec);
    alone(
      {
        spec,
        after: () => this.at,
        deliver: (frames) => {
          const prev = this.at;
          this.at = end(frames, prev);
          send({ run: key, prev, at: this.at, frames });
          return this.at !== prev;
        },
        // Each tab finds out for itself, and then says anew where it is.
        reset: () => false,
      },
      ({ error: _, ...status }) => {
        if (status.ended) remove();
        this.status = status.state === "connecting" ? { ...status, state: "catching-up" } : status;
        send({ is: key, at: this.at, status: this.status });
      },
      this.#closed.signal,
    );
  }

  close(): void {
    this.#closed.abort();
  }
}
