import type { Net } from "./net.js";
import type { Frame, Source } from "./source.js";
import type { TokenReason, Transport } from "./types.js";
import { Watchdog } from "./watchdog.js";

/** What a transport needs to open a connection, and what it tells while that is open. */
export class Attempt {
  ready = false;
  productive = false;
  readonly openedAt = Date.now();
  readonly controller = new AbortController();
  readonly after: string | undefined;
  /** Aborts with the controller, and when the connection is silent for too long. */
  readonly dog = new Watchdog(this.controller.signal);
  /** The interval of the server's heartbeats, in milliseconds. */
  heartbeat = 15_000;
  /** The delay that the stream asks for. */
  retry: number | undefined;

  constructor(
    readonly transport: Transport,
    readonly net: Net,
    readonly source: Source,
    readonly reason: TokenReason,
  ) {
    this.after = source.after();
  }

  /** Two missed heartbeats, and half of one for the network. */
  get silence(): number {
    return Math.max(this.heartbeat * 2.5, 100);
  }

  query(after: string | undefined): [string, string][] {
    const query = this.source.spec.query.map(([name, value]): [string, string] => [name, value]);
    return after === undefined ? query : [...query, ["after", after]];
  }

  close(reason?: unknown): void {
    this.controller.abort(reason);
    this.dog.abort(reason);
  }
}

/** Opens a connection: yields the frames that came together, and throws a failure. Returns when it ended. */
export type Open = (attempt: Attempt) => AsyncGenerator<Frame[], void, undefined>;
