import { silence } from "./attempt.js";
import { DownlinkError, fromProblem, type Problem, temporary, toFailure } from "./failure.js";
import { type Frame, parseFrame, push } from "./source.js";
import { onAbort, Watchdog } from "./watchdog.js";

/** How many events may wait for a slow handler before the subscription is given back to the server. */
const MAX_WAITING = 2048;
/** How long an unused socket stays open, so that a changed filter does not need another. */
const LINGER = 100;
const OPEN_DEADLINE = 10_000;

/** A subscription: what came for it and was not taken yet. */
export class Subscription {
  /** Whether the server knows it. */
  accepted = false;
  #frames: Frame[] = [];
  #waiting = 0;
  #ended: { failure?: DownlinkError } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    readonly sub: string,
    readonly command: Readonly<Record<string, unknown>>,
  ) {}

  /** Yields what came together, until the end. */
  async *runs(): AsyncGenerator<Frame[], void, undefined> {
    for (;;) {
      if (this.#frames.length) {
        this.#waiting = 0;
        yield this.#frames.splice(0);
      } else if (this.#ended?.failure) throw this.#ended.failure;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  /** Returns false if the handler is too slow. */
  push(frame: Frame): boolean {
    push(this.#frames, frame);
    this.#waiting += frame.events?.length ?? 1;
    this.#wake?.();
    return this.#waiting <= MAX_WAITING;
  }

  end(failure?: DownlinkError): void {
    this.#ended ??= failure ? { failure } : {};
    this.#wake?.();
  }
}

/** How many subscriptions a server takes on one socket. */
const MAX_SUBSCRIPTIONS = 32;

/** One WebSocket with many subscriptions. */
export class Socket {
  readonly #dog = new Watchdog();
  readonly #subscriptions = new Map<string, Subscription>();
  #socket: WebSocket | undefined;
  #isOpen = false;
  #isEnding = false;
  #labels = 0;
  #silence = silence(15_000);
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(connect: (signal: AbortSignal) => Promise<WebSocket>) {
    const { signal } = this.#dog;
    onAbort(signal, () => this.#end(signal.reason));
    this.#dog.feed(OPEN_DEADLINE, () => temporary("the WebSocket was not ready in time", { fallback: true }));
    connect(signal).then((socket) => this.#open(socket), (error) => this.#end(error));
  }

  /** Whether it takes new subscriptions. */
  get usable(): boolean {
    return !this.#isEnding && this.#subscriptions.size < MAX_SUBSCRIPTIONS;
  }

  subscribe(command: Readonly<Record<string, unknown>>): Subscription {
    clearTimeout(this.#linger);
    const sub = `s${++this.#labels}`;
    const subscription = new Subscription(sub, { ...command, sub });
    this.#subscriptions.set(sub, subscription);
    if (this.#isOpen) this.#send(subscription.command);
    return subscription;
  }

  unsubscribe(subscription: Subscription, atOnce: boolean): void {
    if (!this.#subscriptions.delete(subscription.sub)) return;
    if (this.#isOpen && !this.#isEnding) this.#send({ frame: "unsubscribe", sub: subscription.sub });
    if (this.#subscriptions.size > 0) return;
    const close = () => this.#end(temporary("closed"));
    if (atOnce || this.#isEnding) close();
    else this.#linger = setTimeout(close, LINGER);
  }

  #open(socket: WebSocket): void {
    this.#socket = socket;
    if (this.#isEnding) return socket.close();
    socket.onopen = () => {
      this.#isOpen = true;
      this.#listen();
      for (const { command } of this.#subscriptions.values()) this.#send(command);
    };
    socket.onmessage = ({ data }) => {
      this.#listen();
      try {
        this.#frame(parseFrame(data as string));
      } catch (error) {
        this.#end(error);
      }
    };
    socket.onclose = (event) => this.#end(this.#closed(event));
    // `onclose` follows, and says as little.
    socket.onerror = () => {};
  }

  #listen(): void {
    this.#dog.feed(this.#silence, () => temporary(`the server was silent for ${this.#silence} ms`));
  }

  #closed({ code, reason }: CloseEvent): DownlinkError {
    const text = `the WebSocket closed (${code} ${reason})`;
    const refusal = { 4400: "invalid", 4401: "unauthenticated", 4403: "forbidden" }[code];
    return refusal ? new DownlinkError("final", refusal, text) : temporary(text, { fallback: !this.#isOpen });
  }

  #frame(frame: Frame): void {
    const { sub, frame: name, problem, heartbeat_ms } = frame;
    if (heartbeat_ms) {
      this.#silence = silence(heartbeat_ms);
      this.#listen();
    }
    if (sub === undefined) {
      if (name === "problem") this.#end(fromProblem(problem as Problem));
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
      subscription.end();
      this.unsubscribe(subscription, false);
    }
  }

  #send(command: object): void {
    this.#socket?.send(JSON.stringify(command));
  }

  #end(cause: unknown): void {
    const failure = toFailure(cause);
    this.#isEnding = true;
    this.#isOpen = false;
    this.#dog.stop();
    clearTimeout(this.#linger);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const subscription of this.#subscriptions.values()) subscription.end(failure);
    this.#subscriptions.clear();
  }
}
