import { fromAnswer, isUnauthenticated, temporary, unreadable } from "./failure.js";
import { Socket } from "./socket.js";
import type { Frame } from "./source.js";
import type { ConnectOptions, TokenReason, Transport } from "./types.js";
import { Watchdog } from "./watchdog.js";

const NAME = "downlink-js/0.1.0";
/** How long the head of an answer may take. */
const ANSWER_DEADLINE = 10_000;

type Query = readonly (readonly [string, string])[];

export interface Fetch {
  query?: Query | undefined;
  accept?: string;
  reason?: TokenReason;
  init?: RequestInit;
  deadline?: number;
}

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
    const parameters = new URLSearchParams(query as [string, string][]).toString();
    return this.base + path + (parameters && `?${parameters}`);
  }

  /** The transports that this platform has, in order of preference. */
  transports(): Transport[] {
    const { transports = ["websocket", "sse", "long-poll"], token, ticket } = this.options;
    const hasSocket = this.#WebSocket() && !(token && !ticket);
    const usable = transports.filter((transport) => transport !== "websocket" || hasSocket);
    return usable.length ? usable : ["sse"];
  }

  /**
   * Requests with a token, and once more with a new one if that is refused. Returns successful answers, and throws
   * others. The dog is fed until the head of the answer is there.
   */
  async fetch(path: string, dog: Watchdog, { query, accept, reason = "connect", init, deadline = ANSWER_DEADLINE }: Fetch): Promise<Response> {
    const { token, headers, credentials = "same-origin" } = this.options;
    dog.feed(deadline, () => temporary(`no answer after ${deadline} ms`));
    const all = new Headers({ Accept: accept ?? "application/json", "Feed-Client": NAME, ...headers, ...(init?.headers as object) });
    if (token) all.set("Authorization", `Bearer ${await token(reason, dog.signal)}`);
    const request: RequestInit = { cache: "no-store", credentials, ...init, headers: all, signal: dog.signal };
    let answer: Response;
    try {
      answer = await (this.options.fetch ?? fetch)(this.url(path, query), request);
    } catch (error) {
      // What a signal aborts with is why; anything else is the network's.
      throw dog.signal.aborted ? dog.signal.reason : temporary(`the server cannot be reached: ${String(error)}`, { cause: error });
    }
    if (answer.ok && (!accept || answer.headers.get("content-type")?.startsWith(accept))) return answer;
    const failure = await fromAnswer(answer);
    if (isUnauthenticated(failure) && token && reason !== "renew") {
      return this.fetch(path, dog, { query, reason: "renew", deadline, ...(accept && { accept }), ...(init && { init }) });
    }
    throw failure;
  }

  /** A page of a feed or of a live query, as JSON. */
  async page(path: string, query: Query, signal: AbortSignal, reason?: TokenReason, wait = 0): Promise<Frame & { more?: boolean }> {
    const dog = new Watchdog(signal);
    try {
      const all: Query = wait ? [...query, ["wait", String(wait)]] : query;
      const deadline = ANSWER_DEADLINE + wait * 1000;
      const answer = await this.fetch(path, dog, { query: all, deadline, accept: "application/json", ...(reason && { reason }) });
      const page = (await answer.json().catch((error: unknown) => {
        throw dog.signal.aborted ? dog.signal.reason : temporary("the answer was cut", { cause: error });
      })) as Frame & { more?: boolean };
      if (typeof page?.cursor !== "string") throw unreadable(`the answer is not a page: check the URL ${answer.url}`);
      return page;
    } finally {
      dog.stop();
    }
  }

  /** The WebSocket for all subscriptions, opened if there is none. */
  socket(reason: TokenReason): Socket {
    if (!this.#socket?.usable) this.#socket = new Socket((signal) => this.#connect(reason, signal));
    return this.#socket;
  }

  async #connect(reason: TokenReason, signal: AbortSignal): Promise<WebSocket> {
    const { ticket } = this.options;
    const query: Query = ticket ? [["ticket", await ticket(reason, signal)]] : [];
    signal.throwIfAborted();
    const url = new URL(this.url("/feed/ws", query), globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    const Native = this.#WebSocket();
    if (!Native) throw temporary("this platform has no WebSocket", { fallback: true });
    return new Native(url.href, "feed.v1.json");
  }

  #WebSocket() {
    return this.options.WebSocket ?? globalThis.WebSocket;
  }
}
