import { Attempt, type Open } from "./attempt.js";
import { DEFAULT_DELAY, type DelayRange, nextDelay, type ServerDelay } from "./delay.js";
import { closed, DownlinkError, fromProblem, isUnauthenticated, type Problem, temporary, toFailure, unreadable } from "./failure.js";
import { offline, onPage, type PageEvent, suspended } from "./lifecycle.js";
import type { Net } from "./net.js";
import type { Frame, Source } from "./source.js";
import type { Status, TokenReason, Transport } from "./types.js";
import { aborted, onAbort, Watchdog } from "./watchdog.js";
import { webSocket } from "./websocket.js";

const fallback = () => import("./fallback.js");

const open: Open = async function* (attempt) {
  const { transport } = attempt;
  return yield* (transport === "websocket" ? webSocket : (await fallback())[transport])(attempt);
};

/** After so many connections in a row that ended with bytes that cannot be read, the feed itself is the cause. */
const MAX_UNREADABLE = 3;
/** How often in a row a transport that has worked may fail before the next one is used. */
const MAX_FAILURES = 2;
/** Longer than a server lets a subscription wait. */
const LAST_READY_DEADLINE = 60_000;
const CONTROL = /^(ready|bye|reset|problem)$/;
const RESET = /^(cursor-ahead|cursor-expired|history-changed)$/;

/** Aborts an attempt that is to be followed by another one at once. */
const AGAIN = temporary("reconnecting");

/** One connection at a time, and a new one when it ends. Aborts when it is closed or cannot go on. */
export class Reconnector extends Watchdog {
  readonly #net: Net;
  readonly #source: Source;
  readonly #tell: (status: Status) => void;
  readonly #range: DelayRange;
  readonly #transports: Transport[];
  readonly #isFeed: boolean;
  /** The connection in use, or the one to be used next; aborted when it has ended. */
  #attempt: Attempt | undefined;
  /** How often in a row no preferred transport worked. */
  failedUpgrades = 0;
  #index = 0;
  #failures = 0;
  /** The transports that were ready once. */
  #worked = new Set<Transport>();
  #reason: TokenReason = "connect";
  #unproductive = 0;
  #unreadable = 0;
  /** How long to wait before the next attempt, whether the page may shorten that, and why there has to be one. */
  #delay = 0;
  #mayWake = true;
  #why = "";
  #nap: Watchdog | undefined;
  #status: Status = { state: "connecting" };

  constructor(net: Net, source: Source, tell: (status: Status) => void, closing: AbortSignal) {
    super(closing);
    this.#net = net;
    this.#source = source;
    this.#tell = tell;
    this.#range = { ...DEFAULT_DELAY, ...net.options.delay };
    this.#transports = net.transports();
    this.#isFeed = source.spec.path === "/feed";
    onAbort(this.signal, () => this.#set(closed()));
    onPage(this.signal, (event) => this.#onPage(event));
    void this.#run();
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#rest();
      if (this.#status.ended) return;
      await this.#connect();
    }
  }

  #set(status: Status): void {
    if (this.#status.ended || JSON.stringify(status) === JSON.stringify(this.#status)) return;
    this.#status = status;
    if (status.ended) this.abort();
    this.#tell(status);
  }

  get #isLast(): boolean {
    return this.#index + 1 === this.#transports.length;
  }

  get #unready(): "connecting" | "reconnecting" {
    return this.#worked.size ? "reconnecting" : "connecting";
  }

  /** Waits for the delay, for the network, and for a page that was frozen. */
  async #rest(): Promise<void> {
    if (offline()) this.#delay = Math.max(this.#delay, this.#range.max);
    while (!this.#status.ended && (this.#delay || suspended())) {
      const retryIn = this.#delay;
      this.#nap = new Watchdog(this.signal);
      if (!suspended()) {
        this.#set({ state: this.#unready, retryIn, reason: offline() ? "offline" : this.#why });
        this.#nap.feed(retryIn);
      }
      await aborted(this.#nap.signal);
      this.#delay = 0;
    }
    this.#mayWake = true;
  }

  #onPage(event: PageEvent): void {
    this.#why = event;
    // The connection of another network is dead, although nothing says so.
    if (event === "suspend" || event === "offline" || event === "online") this.#attempt?.abort(AGAIN);
    if (event === "resume" || this.#mayWake) this.#nap?.abort();
  }

  /** Uses this attempt, which is ready, from now on. */
  use(next: Attempt): void {
    const used = this.#attempt;
    this.#attempt = next;
    used?.abort(AGAIN);
  }

  open(index: number, reason: TokenReason = "connect"): Attempt {
    const transport = this.#transports[index] ?? "sse";
    return new Attempt(this.#net, this.#source, index, transport, open, reason, this.signal);
  }

  async #connect(): Promise<void> {
    if (!this.#attempt || this.#attempt.signal.aborted) {
      this.#attempt = this.open(this.#index, this.#reason);
      this.#set({ state: this.#unready, transport: this.#attempt.transport });
    }
    const attempt = this.#attempt;
    const { index, frames, signal } = attempt;
    this.#index = index;
    this.#reason = "connect";
    const { readyDeadline = 10_000 } = this.#net.options;
    const late = () => attempt.ready || attempt.abort(temporary("not ready in time", { fallback: true }));
    const deadline = setTimeout(late, this.#isLast ? Math.max(readyDeadline, LAST_READY_DEADLINE) : readyDeadline);
    try {
      for await (const run of frames) {
        await this.#take(attempt, run);
        signal.throwIfAborted();
      }
    } catch (error) {
      if (!this.#status.ended && error !== AGAIN) await this.#failed(attempt, toFailure(error));
    } finally {
      clearTimeout(deadline);
      attempt.abort(AGAIN);
    }
  }

  async #take(attempt: Attempt, frames: Frame[]): Promise<void> {
    const run: Frame[] = [];
    for (const frame of frames) {
      const { frame: name } = frame;
      if (CONTROL.test(name)) {
        await this.#deliver(attempt, run);
        await this.#onControl(attempt, frame);
      } else if (name !== "heartbeat") {
        if (!attempt.ready) throw unreadable(`'${name}' before 'ready'`);
        run.push(frame);
      }
    }
    await this.#deliver(attempt, run);
  }

  async #deliver(attempt: Attempt, run: Frame[]): Promise<void> {
    const frames = run.splice(0);
    if (frames.length === 0 || attempt.signal.aborted) return;
    if (await this.#source.deliver(frames)) attempt.productive = true;
    const { transport } = attempt;
    for (const { frame } of frames) {
      if (frame === "behind") this.#set({ state: "catching-up", transport });
      else if (frame === "live" || (!this.#isFeed && frame !== "events")) this.#set({ state: "live", transport });
    }
  }

  async #onReady(attempt: Attempt, frame: Frame): Promise<void> {
    const { cursor } = frame;
    const { after, transport } = attempt;
    // A cursor has a hyphen at this place. A proxy that answers with the stream of another client makes events disappear.
    const skips = cursor && this.#isFeed && after?.[16] === "-" && cursor > after;
    if (attempt.ready || skips) throw unreadable("the stream of another client: check for a proxy that merges streams");
    attempt.ready = true;
    this.#worked.add(transport);
    this.#failures = 0;
    this.#set({ state: "catching-up", transport });
    await this.#source.deliver([frame]);
    if (attempt.index) void fallback().then(({ upgrade }) => upgrade(this, attempt)).catch(() => {});
  }

  async #onControl(attempt: Attempt, control: Frame): Promise<void> {
    const { frame, reason, reconnect_after_ms, head, problem } = control;
    if (frame === "ready") return this.#onReady(attempt, control);
    if (frame === "bye") throw new DownlinkError("temporary", "bye", String(reason), { exactly: reconnect_after_ms as number });
    if (frame === "reset") throw new DownlinkError("final", String(reason), "the log was replaced", { cause: head });
    const failure = fromProblem(problem as Problem);
    // A server that cannot go on says `bye`, too. The rows of a live query stay until it can be evaluated again.
    if (!attempt.ready || (failure.kind === "final" && (this.#isFeed || RESET.test(failure.code)))) throw failure;
    this.#set({ ...this.#status, reason: failure.message });
  }

  async #failed(attempt: Attempt, failure: DownlinkError): Promise<void> {
    const { ready, transport, reason, openedAt } = attempt;
    const { code, message, fallback } = failure;
    const { ticket, token } = this.#net.options;
    let { kind } = failure;
    this.#why = message;
    const isProductive = attempt.productive || (ready && Date.now() - openedAt >= this.#range.max);
    const isSocket = transport === "websocket";
    // A request was repeated with a new token already.
    if (isUnauthenticated(failure) && (isSocket ? ticket : token && ready) && (isProductive || reason === "connect")) {
      this.#reason = "renew";
      return this.#schedule({ exactly: 0 });
    }
    if (kind === "final" && RESET.test(code)) return this.#reset(failure);
    let mayFallBack = fallback;
    if (kind === "unreadable") {
      // Before it was ready, this was no feed.
      if (!ready) [kind, mayFallBack] = ["foreign", true];
      else if (!isProductive && ++this.#unreadable >= MAX_UNREADABLE) kind = "final";
    }
    const isFinal = kind === "final" || (kind === "foreign" && !this.#worked.size);
    // A server that is down says nothing about the transports.
    const isDown = !ready && code === "unreachable" && (failure.status ? this.#worked.size : !fallback);
    if (isDown) this.#index = 0;
    else if (mayFallBack && this.#fallBack(transport, isFinal)) return;
    if (isFinal) return this.#set(closed(failure));
    if (isProductive) this.#unproductive = this.#unreadable = 0;
    else this.#unproductive++;
    // The server's answer to a token that has expired.
    if (code === "bye" && message === "expired") this.#reason = "renew";
    this.#schedule(failure);
  }

  #schedule(server: ServerDelay): void {
    this.#delay = nextDelay(this.#range, server, this.#unproductive);
    this.#mayWake = server.exactly === undefined && server.retryAfter === undefined;
  }

  #fallBack(transport: Transport, isFinal: boolean): boolean {
    this.#failures++;
    if (this.#isLast || (!isFinal && this.#worked.has(transport) && this.#failures < MAX_FAILURES)) return false;
    this.#index++;
    this.#failures = 0;
    return true;
  }

  async #reset(error: DownlinkError): Promise<void> {
    const { code: reason, cause: head } = error;
    const status: Status = { state: "reset", reason, error };
    this.#set(status);
    const goesOn = await this.#source.reset({ reason, ...(typeof head === "string" && { head }) });
    if (!goesOn) return this.#set({ ...status, ended: true });
    // All clients of the log learn it at the same time.
    this.#why = reason;
    this.#schedule({ exactly: Math.random() * this.#range.min });
    this.#unproductive++;
  }
}
