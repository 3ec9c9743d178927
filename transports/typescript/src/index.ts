export { type Api, connect } from "./connect.js";
export { DownlinkError, type FailureKind, type Problem } from "./failure.js";
export type { Feed, FeedOptions } from "./feed.js";
export { type Answer, newId, type PostOptions } from "./post.js";
export { webStorage } from "./storage.js";
export type {
  After,
  ConnectOptions,
  Cursor,
  CursorStore,
  Envelope,
  Events,
  Filter,
  OnReset,
  Reset,
  Secret,
  State,
  Status,
  TokenReason,
  Transport,
} from "./types.js";
