import type { Net } from "./net.js";
import type { Frame, Source } from "./source.js";
import type { TokenReason, Transport } from "./types.js";
import { Watchdog } from "./watchdog.js";

/** Yields the frames that came together. Throws why the connection ended; it has no other end. */
export type Frames = AsyncGenerator<Frame[], never, undefined>;

/** Opens a connection when the first frames are asked for. */
export type Open = (attempt: Attempt) => Frames;

/** One connection, from before it is open. Aborts when the connection is silent for too long. */
export class Attempt extends Watchdog {
  ready = false;
  productive = false;
  readonly openedAt = Date.now();
  /** Where it resumes. */
  readonly after: string | undefined;
  frames: Frames;

  constructor(
    readonly net: Net,
    readonly source: Source,
    /** The place of its transport in the order of preference. */
    readonly index: number,
    readonly transport: Transport,
    open: Open,
    readonly reason: TokenReason,
    closed: AbortSignal,
  ) {
    super(closed);
    this.after = source.after();
    this.frames = open(this);
  }
}
