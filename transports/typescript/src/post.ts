import { DownlinkError, temporary, toFailure } from "./failure.js";
import { sleep } from "./delay.js";
import type { Net } from "./net.js";
import type { Cursor, TokenReason } from "./types.js";
import { Watchdog } from "./watchdog.js";

export interface PostOptions {
  /** The id of the command, a UUID: however often it is sent, it takes effect once. Made by default. */
  id?: string;
  headers?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
  /** How long to go on trying, in milliseconds: 30 seconds. */
  timeout?: number;
}

/** The answer to a command. */
export interface Answer<R> {
  readonly id: string;
  readonly status: number;
  readonly data: R;
  /** Read models and feeds that have passed this cursor have seen the command's events. */
  readonly cursor: Cursor | undefined;
}

const ATTEMPT_DEADLINE = 15_000;
const MAX_DELAY = 8000;

/** A UUID of version 7, which sorts by time. Also where `crypto.randomUUID` is missing, without a secure context. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const time = Date.now();
  for (let index = 0; index < 6; index++) bytes[index] = Math.floor(time / 2 ** (40 - 8 * index)) & 255;
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 15);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 63);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Sends a command, and repeats it with the same id until it is answered. */
export async function post<R>(net: Net, path: string, body: unknown, options: PostOptions): Promise<Answer<R>> {
  const { id = newId(), query = {}, signal, timeout = 30_000 } = options;
  const until = Date.now() + timeout;
  const init: RequestInit = {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "Idempotency-Key": id, ...options.headers },
  };
  const outer = signal ?? new AbortController().signal;
  const reason: TokenReason = "connect";
  for (let tries = 0; ; tries++) {
    outer.throwIfAborted();
    const left = Math.max(1, until - Date.now());
    const dog = new Watchdog(outer);
    let failure: DownlinkError;
    try {
      const answer = await net.fetch(path, dog, { query: Object.entries(query), init, reason, deadline: Math.min(left, ATTEMPT_DEADLINE) });
      const text = await answer.text();
      const data = (text ? parse(text, answer) : undefined) as R;
      return { id, status: answer.status, data, cursor: answer.headers.get("feed-cursor") ?? undefined };
    } catch (error) {
      outer.throwIfAborted();
      failure = toFailure(error);
    } finally {
      dog.stop();
    }
    const delay = Math.random() * Math.min(MAX_DELAY, 500 * 2 ** tries);
    const wait = failure.retryAfter === undefined ? delay : failure.retryAfter * (1 + Math.random() / 2);
    if (!mayRepeat(failure) || Date.now() + wait >= until) throw failure;
    await sleep(wait, outer);
  }
}

/** The network, a proxy, or a server that says so; not a server that failed for another reason. */
const mayRepeat = ({ kind, problem }: DownlinkError): boolean =>
  kind === "temporary" && (!problem || problem.retryable !== false || problem.code === "outcome-unknown");

function parse(text: string, answer: Response): unknown {
  if (!/json/.test(answer.headers.get("content-type") ?? "")) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw temporary("the answer was cut", { cause: error });
  }
}
