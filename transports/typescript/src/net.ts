import { fromAnswer, isUnauthenticated, temporary } from "./failure.js";
import { Socket } from "./socket.js";
import type { ConnectOptions, TokenReason, Transport } from "./types.js";
import type { Watchdog } from "./watchdog.js";

const NAME = "downlink-js/0.1.0";
/** How long the head of an answer may take. */
export const ANSWER_DEADLINE = 10_000;

export type Query = readonly (readonly [string, string])[];

export interface Fetch {
  query?: Query;
  reason?: TokenReason;
  init?: { method: string; body: string; headers: Readonly<Record<string, string>> };
  deadline?: number;
}

/** Throws what the signal was aborted with; anything else is the network's. */
const failed = (signal: AbortSignal, what: string) => (cause: unknown): never => {
  throw signal.aborted ? signal.reason : temporary(`${what}: ${String(cause)}`, { cause });
};

/** The body of an answer. */
export const json = (answer: Response, signal: AbortSignal): Promise<unknown> => answer.json().catch(failed(signal, "the answer ended"));

/** Requests to one feed, and its one WebSocket. */
export class Net {
  readonly base: string;
  readonly options: ConnectOptions;
  #socket: Socket | undefined;

  constructor(base: string, options: ConnectOptions) {
    this.base = base.replace(/\/+$/, "");
    this.options = options;
  }

  url(path: string, query: Query = []): string {
    return `${this.base}${path}${query.length ? "?" : ""}${new URLSearchParams(query as [string, string][])}`;
  }

  /** The transports that this platform has, in order of preference. */
  transports(): Transport[] {
    const { transports = ["websocket", "sse", "long-poll"], token, ticket } = this.options;
    const hasSocket = this.#WebSocket() && (ticket || !token);
    return transports.filter((transport) => transport !== "websocket" || hasSocket);
  }

  /**
   * Requests with a token, and once more with a new one if that is refused. Returns successful answers of this type,
   * and throws others. The dog waits for the head of the answer.
   */
  async fetch(path: string, dog: Watchdog, accept: string, how: Fetch): Promise<Response> {
    const { query, reason = "connect", init, deadline = ANSWER_DEADLINE } = how;
    const { token, credentials, fetch: ask = fetch } = this.options;
    const { signal } = dog;
    dog.feed(deadline, () => temporary(`no answer after ${deadline} ms`));
    const headers: Record<string, string> = { Accept: accept, "Feed-Client": NAME, ...this.options.headers, ...init?.headers };
    if (token) headers["Authorization"] = `Bearer ${await token(reason, signal)}`;
    const answer = await ask(this.url(path, query), { cache: "no-store", credentials: credentials!, ...init, headers, signal }).catch(
      failed(signal, "the server cannot be reached"),
    );
    if (answer.ok && (init || answer.headers.get("content-type")?.startsWith(accept))) return answer;
    const failure = await fromAnswer(answer, !!init);
    if (!token || reason === "renew" || !isUnauthenticated(failure)) throw failure;
    return this.fetch(path, dog, accept, { ...how, reason: "renew" });
  }

  /** The WebSocket for all subscriptions, opened if there is none. */
  socket(reason: TokenReason): Socket {
    if (!this.#socket?.usable) this.#socket = new Socket((signal) => this.#connect(reason, signal));
    return this.#socket;
  }

  async #connect(reason: TokenReason, signal: AbortSignal): Promise<WebSocket> {
    const { ticket } = this.options;
    const url = new URL(this.url("/feed/ws", ticket && [["ticket", await ticket(reason, signal)]]), globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    const Native = this.#WebSocket();
    return new Native(url.href, "feed.v1.json");
  }

  #WebSocket() {
    return this.options.WebSocket ?? globalThis.WebSocket;
  }
}
