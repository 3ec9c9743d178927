import { type DownlinkError, toFailure } from "./failure.js";
import { nextDelay, sleep } from "./delay.js";
import { json, type Net } from "./net.js";
import type { Cursor } from "./types.js";
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
  /** The body, if it is JSON. */
  readonly data: R;
  /** Read models and feeds that have passed this cursor have seen the command's events. */
  readonly cursor: Cursor | undefined;
}

const ATTEMPT_DEADLINE = 15_000;
const FIRST_DELAY = 500;
const MAX_DELAY = 8000;

/** A UUID of version 7, which sorts by time. Also where `crypto.randomUUID` is missing, without a secure context. */
export function newId(): string {
  const digits = [...Date.now().toString(16).padStart(12, "0"), ...crypto.getRandomValues(new Uint8Array(18))];
  return "xxxxxxxx-xxxx-7xxx-8xxx-xxxxxxxxxxxx".replace(/x/g, () => digits.shift()!.toString(16).slice(-1));
}

/** Sends a command, and repeats it with the same id until it is answered. */
export async function post<R>(net: Net, path: string, body: unknown, options: PostOptions = {}): Promise<Answer<R>> {
  const { id = newId(), query = {}, signal, timeout = 30_000 } = options;
  const until = Date.now() + timeout;
  const headers = { "Content-Type": "application/json", "Idempotency-Key": id, ...options.headers };
  const init = { method: "POST", body: JSON.stringify(body), headers };
  for (let tries = 0; ; tries++) {
    const dog = new Watchdog(signal);
    try {
      const deadline = Math.min(until - Date.now(), ATTEMPT_DEADLINE);
      const answer = await net.fetch(path, dog, "application/json", { query: Object.entries(query), init, deadline });
      const { status, headers } = answer;
      const data = headers.get("content-type")?.includes("json") ? await json(answer, dog.signal) : undefined;
      return { id, status, data: data as R, cursor: headers.get("feed-cursor") ?? undefined };
    } catch (error) {
      signal?.throwIfAborted();
      const failure = toFailure(error);
      const delay = nextDelay({ min: 0, max: Math.min(FIRST_DELAY * 2 ** tries, MAX_DELAY), serverMax: timeout }, failure, 0);
      if (!mayRepeat(failure) || Date.now() + delay >= until) throw failure;
      await sleep(delay, signal);
    } finally {
      dog.abort();
    }
  }
}

/** The network, a proxy, or a server that says so; not a server that failed for another reason. */
const mayRepeat = ({ kind, code, problem }: DownlinkError): boolean =>
  kind === "temporary" && (problem?.retryable !== false || code === "outcome-unknown");
