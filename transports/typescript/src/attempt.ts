import type { Net } from "./net.js";
import type { Frame, Source } from "./source.js";
import type { TokenReason, Transport } from "./types.js";
import { Watchdog } from "./watchdog.js";

/** Two missed heartbeats, and half of one for the network. */
export const silence = (heartbeat: unknown): number => (heartbeat as number) * 2.5;

/** Opens a connection: yields the frames that came together, and throws a failure. Returns when it ended. */
export type Open = (attempt: Attempt) => AsyncGenerator<Frame[], void, undefined>;

/** One connection, from before it is open. Aborts when the connection is silent for too long. */
export class Attempt extends Watchdog {
  ready = false;
  productive = false;
  readonly openedAt = Date.now();
  /** Where it resumes. */
  readonly after: string | undefined;
  /** How long it may be silent, in milliseconds. */
  silence = silence(15_000);
  /** The delay that the stream asks for. */
  retry: number | undefined;
  /** Frames that were received while another connection was in use. */
  first: Frame[] = [];
  readonly frames: AsyncGenerator<Frame[], void, undefined>;

  constructor(
    readonly net: Net,
    readonly source: Source,
    /** The place of its transport in the order of preference. */
    readonly index: number,
    readonly transport: Transport,
    open: Open,
    readonly reason: TokenReason,
  ) {
    super();
    this.after = source.after();
    this.frames = open(this);
  }
}
