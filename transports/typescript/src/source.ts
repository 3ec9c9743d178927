import { unreadable } from "./failure.js";
import type { Cursor, Envelope, Reset } from "./types.js";

/** A frame of the wire contract; events come in runs. */
export interface Frame {
  readonly frame: string;
  readonly sub?: string;
  readonly cursor?: Cursor;
  readonly events?: readonly Envelope[];
  readonly [member: string]: unknown;
}

/** What a request has as parameters. */
export type Fields = Readonly<Record<string, string | readonly string[]>>;

/** What is asked of the server, as data that can be sent to another tab. */
export interface Spec {
  /** The route, such as `/feed`. */
  readonly path: string;
  /** The frame that asks for it on a WebSocket, without `sub` and `after`. */
  readonly command: { readonly frame: string; readonly query?: string; readonly filter?: Fields; readonly params?: Fields };
}

/** A feed or a live query: it knows where to resume, and takes what comes. */
export interface Source {
  readonly spec: Spec;
  /** Where the next connection resumes. */
  after(): string | undefined;
  /** Takes frames in order, and may be slow: no more are read meanwhile. Returns whether there was anything new. */
  deliver(frames: readonly Frame[]): boolean | Promise<boolean>;
  /** The log was replaced. Returns whether to go on. */
  reset(reset: Reset): boolean | Promise<boolean>;
}

/** Parses the JSON of one message; an envelope becomes a run of one. */
export function parseFrame(text: string): Frame {
  try {
    const value = JSON.parse(text) as Frame & Envelope;
    if (value.frame) return value;
    if (value.cursor && value.type) return { frame: "events", events: [value] };
  } catch {
    // As anything else that is no frame.
  }
  throw unreadable(`not a frame of a feed: ${text.slice(0, 80)}`);
}

/** Joins runs, so that many events that came together are handled together. */
export function push(frames: Frame[], frame: Frame): void {
  const last = frames.at(-1);
  if (last?.events && frame.events) (last.events as Envelope[]).push(...frame.events);
  else frames.push(frame);
}
