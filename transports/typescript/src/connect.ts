import { Feed, type FeedOptions, type Follow } from "./feed.js";
import { Net } from "./net.js";
import { type Answer, post, type PostOptions } from "./post.js";
import { Reconnector } from "./reconnector.js";
import type { ConnectOptions, Envelope, Events } from "./types.js";

/** A server's feed, queries and commands. Holds no connection by itself. */
export interface Api {
  /** Follows the feed. `E` is an envelope, or an enum of events as Rust exports it. */
  feed<E = Envelope>(options: FeedOptions<Events<E>>): Feed<Events<E>>;

  /**
   * Sends a command to `base + path`, with an `Idempotency-Key`, and repeats it until it is answered.
   * Throws a `DownlinkError`: `code` is the refusal's.
   */
  post<R = unknown>(path: string, body: unknown, options?: PostOptions): Promise<Answer<R>>;

  /** @internal */
  readonly follow: Follow;
}

/**
 * Names a server: the URL under which the application has put the feed's routes, such as `/api`. Nothing is sent
 * until something is followed or posted.
 */
export function connect(base: string, options: ConnectOptions = {}): Api {
  const { share } = options;
  const net = new Net(base, options);
  const alone: Follow = (...followed) => void new Reconnector(net, ...followed);
  // Pages that share nothing do not load it.
  const tabs = (share: string) => import("./tabs.js").then(({ shared }) => shared(net, share, alone), () => alone);
  const follow: Follow =
    share === undefined ? alone : (source, tell, signal) => void tabs(share).then((follow) => signal.aborted || follow(source, tell, signal));
  return {
    feed: (options) => new Feed(options, follow),
    post: (path, body, options) => post(net, path, body, options),
    follow,
  };
}
