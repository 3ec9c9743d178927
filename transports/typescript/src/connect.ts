import { Feed, type FeedOptions, type Follow, type Handle } from "./feed.js";
import { Net } from "./net.js";
import { type Answer, post, type PostOptions } from "./post.js";
import { Reconnector } from "./reconnector.js";
import type { ConnectOptions, Envelope, Events } from "./types.js";

/** A server's feed, queries and commands. Holds no connection by itself. */
export class Api {
  /** @internal */
  readonly net: Net;

  /** @internal */
  constructor(base: string, options: ConnectOptions) {
    this.net = new Net(base, options);
  }

  /** Follows the feed. `E` is an envelope, or an enum of events as Rust exports it. */
  feed<E = Envelope>(options: FeedOptions<Events<E>>): Feed<Events<E>> {
    return new Feed<Events<E>>(options, this.follow);
  }

  /**
   * Sends a command to `base + path`, with an `Idempotency-Key`, and repeats it until it is answered.
   * Throws a `DownlinkError`: `code` is the refusal's.
   */
  post<R = unknown>(path: string, body: unknown, options: PostOptions = {}): Promise<Answer<R>> {
    return post<R>(this.net, path, body, options);
  }

  /** @internal */
  readonly follow: Follow = (source, tell) => {
    const { share } = this.net.options;
    const alone: Follow = (source, tell) => new Reconnector(this.net, source, tell);
    if (share === undefined) return alone(source, tell);
    let handle: Handle | undefined;
    let isClosed = false;
    // Pages that share nothing do not load it.
    const tabs = import("./tabs.js").then(({ shared }) => shared(this.net, share, alone), () => alone);
    void tabs.then((follow) => {
      if (!isClosed) handle = follow(source, tell);
    });
    return {
      close() {
        isClosed = true;
        handle?.close();
      },
    };
  };
}

/**
 * Names a server: the URL under which the application has put the feed's routes, such as `/api`. Nothing is sent
 * until something is followed or posted.
 */
export const connect = (base: string, options: ConnectOptions = {}): Api => new Api(base, options);
