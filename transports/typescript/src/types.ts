/** A place in the log: "handled up to and including". Opaque, and sorts as text. */
export type Cursor = string;

/** Where a feed begins: after a cursor, at the start of the log, now, or with the last n matching events. */
export type After = "start" | "now" | `last:${number}` | (Cursor & {});

/** An event as the feed sends it. */
export interface Envelope<Data = unknown, Type extends string = string> {
  readonly cursor: Cursor;
  readonly id: string;
  readonly stream: string;
  /** The place of the event within its stream: 1 for the first. */
  readonly version: number;
  readonly type: Type;
  /** When it was recorded, UTC, with six decimals. */
  readonly time: string;
  /** The payload; absent if it is not JSON. */
  readonly data: Data;
  /** The payload if it is not JSON, and what it is. */
  readonly data_base64?: string;
  readonly content_type?: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
}

/**
 * The envelopes of an externally tagged enum, as serde writes it and ts-rs exports it: a switch over `type`
 * narrows `data`. A variant without content has the payload `{}`.
 *
 * ```ts
 * type FlightEvent = { FlightDeparted: { gate: string } } | "FlightLanded";
 * const gate = (event: Events<FlightEvent>) => event.type === "FlightDeparted" ? event.data.gate : "";
 * ```
 */
export type Events<E> = E extends Envelope
  ? E
  : E extends string
    ? Envelope<Record<string, never>, E>
    : { [Type in keyof E & string]: Envelope<E[Type], Type> }[keyof E & string];

/**
 * Which events: (`stream` or `stream_prefix`) and (`type` or `type_prefix`) and no `not_type` and every `tag`.
 * What is absent is no restriction. An empty list is an error, because it must not mean everything.
 */
export interface Filter {
  stream?: string | readonly string[];
  stream_prefix?: string | readonly string[];
  type?: string | readonly string[];
  type_prefix?: string | readonly string[];
  not_type?: string | readonly string[];
  tag?: string | readonly string[];
}

export type Transport = "websocket" | "sse" | "long-poll";

/**
 * - `connecting`: nothing was received yet.
 * - `catching-up`: connected, and older events are being received.
 * - `live`: everything up to the head of the log was received.
 * - `reconnecting`: the connection ended; `reason` says why, `retryIn` when the next attempt begins.
 * - `reset`: the log was replaced, and what was shown may be wrong.
 * - `closed`: it was closed, or cannot go on; then `error` says why.
 */
export type State = "connecting" | "catching-up" | "live" | "reconnecting" | "reset" | "closed";

/** The state of a feed or a live query, for a person who waits. */
export interface Status {
  readonly state: State;
  readonly reason?: string;
  readonly transport?: Transport;
  /** Milliseconds until the next attempt. */
  readonly retryIn?: number;
  /** Nothing follows. */
  readonly ended?: true;
  readonly error?: import("./failure.js").DownlinkError;
}

/** The log was replaced by another one, for example by a backup that was restored. */
export interface Reset {
  readonly reason: string;
  /** The head of the log that is there now, if the server has said it. */
  readonly head?: Cursor;
}

/**
 * What to do after a reset: `"restart"` begins again where the feed began, or a function that returns where to
 * go on, and nothing to stop. Forget what was built from the events before.
 */
export type OnReset = "restart" | ((reset: Reset) => After | void | Promise<After | void>);

/** Keeps a cursor from one run of the program to the next. It is written after the events were handled. */
export interface CursorStore {
  load(): Cursor | null | undefined | Promise<Cursor | null | undefined>;
  save(cursor: Cursor): void | Promise<void>;
  /** Forgets the cursor, after a reset. */
  clear(): void | Promise<void>;
}

/** Why a token is wanted: any will do, or the last one was refused or expired. */
export type TokenReason = "connect" | "renew";

/** Returns a secret. Throw a `DownlinkError` of the kind `final` to give up; other errors are retried. */
export type Secret = (reason: TokenReason, signal: AbortSignal) => string | Promise<string>;

export interface ConnectOptions {
  /** Returns the bearer token for requests. WebSockets cannot send it: see `ticket`. */
  token?: Secret;
  /** Returns a ticket for the URL of a WebSocket. With `token` and without this, WebSockets are not used. */
  ticket?: Secret;
  /** Shares one connection between all tabs of this user; see `downlink/tabs`. Never share between two logins. */
  share?: string | undefined;
  /** In order of preference; all by default. A WebSocket is used where the platform has one. */
  transports?: readonly Transport[];
  headers?: Readonly<Record<string, string>>;
  credentials?: RequestCredentials;
  /** The delay before a reconnect, in milliseconds, unless the server names one: 1,000 to 10,000. */
  delay?: { min?: number; max?: number; serverMax?: number };
  /** How long to stay with a less preferred transport before a better one is tried: 5 minutes. */
  upgradeAfter?: number;
  /** How long a connection may take to become ready while there is another transport: 10 seconds. */
  readyDeadline?: number;
  /** How long a long-poll waits at the server, in seconds: 25. */
  pollWait?: number;
  /** For platforms without them, and for tests. */
  fetch?: typeof fetch;
  WebSocket?: new (url: string, protocols?: string | string[]) => WebSocket;
}
