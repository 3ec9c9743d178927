import { DownlinkError, fromProblem, type Problem, temporary } from "./failure.js";
import { type Frame, parseFrame } from "./source.js";
import { Subscription } from "./subscription.js";
import { onAbort, Watchdog } from "./watchdog.js";

/** How many subscriptions a server takes on one socket. */
const MAX_SUBSCRIPTIONS = 32;
/** How long an unused socket stays open, so that a changed filter does not need another. */
const LINGER = 100;
const OPEN_DEADLINE = 10_000;

/** How long a server may be silent: two missed heartbeats, and half of one for the network. */
export const silence = (heartbeat: unknown): number => (heartbeat as number) * 2.5;

/** One WebSocket with many subscriptions. Aborts when it ends. */
export class Socket extends Watchdog {
  readonly #subscriptions = new Map<string, Subscription>();
  /** The socket, once it is open. */
  #socket: WebSocket | undefined;
  #isEnding = false;
  #labels = 0;
  #silence = OPEN_DEADLINE;

  constructor(connect: (signal: AbortSignal) => Promise<WebSocket>) {
    super();
    onAbort(this.signal, () => this.#release());
    connect(this.signal).then((socket) => this.#open(socket), (error) => this.abort(error));
  }

  /** Whether it takes new subscriptions. */
  get usable(): boolean {
    return !this.#isEnding && this.#subscriptions.size < MAX_SUBSCRIPTIONS;
  }

  subscribe(command: Readonly<Record<string, unknown>>): Subscription {
    const sub = `s${++this.#labels}`;
    const subscription = new Subscription(sub, { ...command, sub });
    this.#subscriptions.set(sub, subscription);
    this.#listen();
    this.#send(subscription.command);
    return subscription;
  }

  unsubscribe({ sub }: Subscription, atOnce: boolean): void {
    if (!this.#subscriptions.delete(sub)) return;
    if (!this.#isEnding) this.#send({ frame: "unsubscribe", sub });
    if (this.#subscriptions.size > 0) return;
    if (atOnce || this.#isEnding) this.abort();
    else this.#listen();
  }

  #open(socket: WebSocket): void {
    onAbort(this.signal, () => socket.close());
    socket.onopen = () => {
      this.#socket = socket;
      this.#silence = silence(15_000);
      this.#listen();
      for (const { command } of this.#subscriptions.values()) this.#send(command);
    };
    socket.onmessage = ({ data }) => {
      try {
        this.#frame(parseFrame(data as string));
        if (this.#subscriptions.size) this.#listen();
      } catch (error) {
        this.abort(error);
      }
    };
    socket.onclose = (event) => this.abort(this.#closed(event));
    // `onclose` follows, and says as little.
    socket.onerror = () => {};
  }

  /** Waits for the next message, or for a subscription if there is none. */
  #listen(): void {
    const time = this.#subscriptions.size ? this.#silence : LINGER;
    const what = this.#socket ? "the server was silent" : "the WebSocket was not open";
    this.feed(time, () => temporary(`${what} for ${time} ms`, { fallback: !this.#socket }));
  }

  #closed({ code, reason }: CloseEvent): DownlinkError {
    const text = `the WebSocket closed (${code} ${reason})`;
    const refusal = { 4400: "invalid", 4401: "unauthenticated", 4403: "forbidden" }[code];
    return refusal ? new DownlinkError("final", refusal, text) : temporary(text, { fallback: !this.#socket });
  }

  #frame(frame: Frame): void {
    const { sub, frame: name, problem, heartbeat_ms } = frame;
    if (heartbeat_ms) this.#silence = silence(heartbeat_ms);
    if (sub === undefined) {
      if (name === "problem") throw fromProblem(problem as Problem);
      if (name !== "bye") return;
      this.#isEnding = true;
      for (const subscription of this.#subscriptions.values()) subscription.push(frame);
      return;
    }
    const subscription = this.#subscriptions.get(sub);
    if (!subscription) return;
    if (name === "problem" && !subscription.accepted) this.#subscriptions.delete(sub);
    subscription.accepted = true;
    if (!subscription.push(frame)) {
      // What it has is handled first; then it resumes after that.
      subscription.end(temporary("the handler is slower than the feed", { exactly: 0 }));
      this.unsubscribe(subscription, false);
    }
  }

  #send(command: object): void {
    this.#socket?.send(JSON.stringify(command));
  }

  #release(): void {
    this.#isEnding = true;
    for (const subscription of this.#subscriptions.values()) subscription.end(this.signal.reason);
    this.#subscriptions.clear();
  }
}
