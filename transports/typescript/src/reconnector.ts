import { Attempt, type Open } from "./attempt.js";
import { DEFAULT_DELAY, type DelayRange, nextDelay, type ServerDelay, sleep } from "./delay.js";
import { DownlinkError, fromProblem, type Problem, temporary, toFailure, unreadable } from "./failure.js";
import { offline, onPage, type PageEvent, suspended } from "./lifecycle.js";
import { longPoll } from "./long-poll.js";
import type { Net } from "./net.js";
import type { Frame, Source } from "./source.js";
import { sse } from "./sse.js";
import type { Cursor, Reset, Status, TokenReason, Transport } from "./types.js";
import { webSocket } from "./websocket.js";

const OPEN: Record<Transport, Open> = { websocket: webSocket, sse, "long-poll": longPoll };

/** After so many connections in a row that ended with bytes that cannot be read, the feed itself is the cause. */
const MAX_UNREADABLE = 3;
/** How often in a row a transport that has worked may fail before the next one is used. */
const MAX_FAILURES = 2;
const MAX_UPGRADE_FACTOR = 12;
/** Longer than a server lets a subscription wait. */
const LAST_READY_DEADLINE = 60_000;
const RESETS = new Set(["cursor-ahead", "history-changed", "cursor-expired"]);

/** Aborts an attempt that is to be followed by another one at once. */
const AGAIN = new DownlinkError("temporary", "again", "reconnecting");

/** What `bye` says. */
class Bye {
  constructor(
    readonly reason: string,
    readonly delay: number | undefined,
  ) {}
}

/** An attempt with a preferred transport that became ready. */
interface Upgraded {
  attempt: Attempt;
  index: number;
  frames: AsyncGenerator<Frame[], void, undefined>;
  first: Frame[];
}

/** One connection at a time, and a new one when it ends. */
export class Reconnector {
  readonly #net: Net;
  readonly #source: Source;
  readonly #tell: (status: Status) => void;
  readonly #range: DelayRange;
  readonly #transports: Transport[];
  readonly #leave: () => void;
  readonly #closed = new AbortController();
  #attempt: Attempt | undefined;
  #upgraded: Upgraded | undefined;
  #upgrading: Attempt | undefined;
  #upgradeTimer: ReturnType<typeof setTimeout> | undefined;
  #failedUpgrades = 0;
  #index = 0;
  #failures = 0;
  #worked = new Set<Transport>();
  #reason: TokenReason = "connect";
  #wasReady = false;
  #unproductive = 0;
  #unreadable = 0;
  /** How long to wait before the next attempt, whether the page may shorten that, and why it is needed. */
  #wait = { delay: 0, mayWake: true, reason: "" };
  #wake: AbortController | undefined;
  #status: Status = { state: "connecting" };

  constructor(net: Net, source: Source, tell: (status: Status) => void) {
    this.#net = net;
    this.#source = source;
    this.#tell = tell;
    this.#range = { ...DEFAULT_DELAY, ...net.options.delay };
    this.#transports = net.transports();
    this.#leave = onPage((event) => this.#onPage(event));
    void this.#run();
  }

  close(status: Status = { state: "closed", ended: true }): void {
    if (this.#closed.signal.aborted) return;
    this.#leave();
    clearTimeout(this.#upgradeTimer);
    this.#closed.abort(AGAIN);
    this.#upgrading?.close(AGAIN);
    this.#upgraded?.attempt.close(AGAIN);
    this.#attempt?.close(AGAIN);
    this.#set(status);
  }

  async #run(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      await this.#rest();
      if (!this.#closed.signal.aborted) await this.#connect();
    }
  }

  #set(status: Status): void {
    const { state, transport, reason } = this.#status;
    if (status.state === state && status.transport === transport && status.reason === reason && !status.retryIn && !status.ended) return;
    this.#status = status;
    this.#tell(status);
  }

  /** Waits for the delay, for the network, and for a page that was frozen. */
  async #rest(): Promise<void> {
    const { reason } = this.#wait;
    let { delay } = this.#wait;
    if (offline()) delay = Math.max(delay, this.#range.max);
    while (delay > 0 || suspended()) {
      if (!suspended()) this.#waiting(offline() ? "offline" : reason, delay);
      this.#wake = new AbortController();
      const closed = () => this.#wake?.abort();
      this.#closed.signal.addEventListener("abort", closed);
      // A page that was frozen wakes up by an event; the timer is for pages that are not told.
      const woken = await sleep(suspended() ? 2 ** 31 - 1 : delay, this.#wake.signal).then(() => false, () => true);
      this.#closed.signal.removeEventListener("abort", closed);
      this.#wake = undefined;
      if (this.#closed.signal.aborted) return;
      if (!woken || !suspended()) delay = 0;
    }
    this.#wait = { delay: 0, mayWake: true, reason: "" };
  }

  #waiting(reason: string, retryIn: number): void {
    const state = this.#wasReady ? "reconnecting" : "connecting";
    this.#set({ state, retryIn, ...(reason && { reason }) });
  }

  #onPage(event: PageEvent): void {
    if (event === "suspend") this.#again("suspended");
    else if (event === "offline") this.#again("offline");
    else if (event === "resume") this.#wake?.abort();
    else if (event === "online") {
      // The connection of another network is dead, although nothing says so.
      this.#again("online");
      if (this.#wait.mayWake) this.#wake?.abort();
    } else if (this.#wait.mayWake) this.#wake?.abort();
  }

  /** Ends the attempt; the next one begins as soon as the page allows. */
  #again(reason: string): void {
    this.#wait = { ...this.#wait, reason };
    this.#upgrading?.close(AGAIN);
    this.#attempt?.close(AGAIN);
  }

  get #transport(): Transport {
    return this.#transports[this.#index] ?? "sse";
  }

  async #connect(): Promise<void> {
    const upgraded = this.#upgraded;
    this.#upgraded = undefined;
    const attempt = upgraded?.attempt ?? new Attempt(this.#transport, this.#net, this.#source, this.#reason);
    this.#attempt = attempt;
    if (upgraded) {
      this.#index = upgraded.index;
      this.#failures = this.#failedUpgrades = 0;
    } else {
      this.#set({ ...this.#status, state: this.#wasReady ? "reconnecting" : "connecting", transport: attempt.transport });
    }
    this.#reason = "connect";
    const deadline = this.#deadline(attempt);
    try {
      if (upgraded) await this.#take(attempt, upgraded.first);
      for await (const frames of upgraded?.frames ?? OPEN[attempt.transport](attempt)) {
        await this.#take(attempt, frames);
        if (attempt.controller.signal.aborted) throw attempt.controller.signal.reason;
      }
      this.#ended(attempt, temporary("the connection ended", { fallback: !attempt.ready }), { exactly: attempt.retry });
    } catch (error) {
      await this.#failed(attempt, error);
    } finally {
      clearTimeout(deadline);
      attempt.close(AGAIN);
    }
  }

  #deadline(attempt: Attempt): ReturnType<typeof setTimeout> {
    const isLast = this.#index + 1 === this.#transports.length;
    const { readyDeadline = 10_000 } = this.#net.options;
    const late = () => attempt.ready || attempt.close(temporary("the feed does not become ready", { fallback: true }));
    return setTimeout(late, isLast ? Math.max(LAST_READY_DEADLINE, readyDeadline) : readyDeadline);
  }

  async #take(attempt: Attempt, frames: Frame[]): Promise<void> {
    let from = 0;
    for (const [index, frame] of frames.entries()) {
      if (!CONTROL.has(frame.frame)) {
        if (!attempt.ready) throw unreadable("the feed sent an event before `ready`");
        continue;
      }
      await this.#deliver(attempt, frames.slice(from, index));
      from = index + 1;
      if (frame.frame === "ready") await this.#onReady(attempt, frame);
      else this.#onControl(attempt, frame);
    }
    await this.#deliver(attempt, frames.slice(from));
  }

  async #deliver(attempt: Attempt, frames: Frame[]): Promise<void> {
    if (frames.length === 0 || attempt !== this.#attempt || attempt.controller.signal.aborted) return;
    if (await this.#source.deliver(frames)) attempt.productive = true;
    for (const { frame } of frames) {
      if (frame === "behind") this.#connected(attempt, "catching-up");
      else if (frame !== "events" && (frame !== "checkpoint" || !this.#isFeed)) this.#connected(attempt, "live");
    }
  }

  get #isFeed(): boolean {
    return this.#source.spec.path === "/feed";
  }

  #connected(attempt: Attempt, state: "catching-up" | "live"): void {
    if (!this.#closed.signal.aborted) this.#set({ state, transport: attempt.transport });
  }

  async #onReady(attempt: Attempt, frame: Frame): Promise<void> {
    if (attempt.ready) throw unreadable("the feed sent `ready` twice: check for a proxy that merges streams");
    const { after } = attempt;
    // A cursor sorts as text; anything else has no hyphen at this place.
    if (frame.cursor && after?.[16] === "-" && this.#isFeed && frame.cursor > after) {
      throw unreadable(`the feed resumed at ${frame.cursor}, after the cursor of the request: check for a proxy that caches or merges streams`);
    }
    attempt.ready = this.#wasReady = true;
    this.#worked.add(attempt.transport);
    this.#failures = 0;
    if (typeof frame["heartbeat_ms"] === "number") attempt.heartbeat = frame["heartbeat_ms"];
    this.#connected(attempt, "catching-up");
    await this.#deliver(attempt, [frame.cursor ? { frame: "checkpoint", cursor: frame.cursor, ready: true } : { frame: "checkpoint", ready: true }]);
    if (this.#index > 0) this.#planUpgrade();
  }

  #onControl(attempt: Attempt, frame: Frame): void {
    if (frame.frame === "bye") throw new Bye(String(frame["reason"]), frame["reconnect_after_ms"] as number | undefined);
    if (frame.frame === "reset") throw new DownlinkError("final", String(frame["reason"]), "the log was replaced", { cause: frame["head"] });
    if (frame.frame !== "problem") return;
    const failure = fromProblem(frame["problem"] as Problem);
    // A server that cannot go on says `bye`, too. The rows of a live query stay until it can be evaluated again.
    const passes = failure.kind === "temporary" || (!this.#isFeed && !RESETS.has(failure.code));
    if (!attempt.ready || !passes) throw failure;
    this.#set({ ...this.#status, reason: failure.message });
  }

  async #failed(attempt: Attempt, error: unknown): Promise<void> {
    if (this.#closed.signal.aborted) return;
    if (error === AGAIN) {
      this.#wait = { ...this.#wait, delay: 0 };
      return;
    }
    if (error instanceof HandlerError) return this.close({ state: "closed", ended: true, reason: "the handler failed", error: error.failure });
    if (error instanceof Bye) {
      if (error.reason === "expired") this.#reason = "renew";
      return this.#ended(attempt, temporary(error.reason), { exactly: error.delay });
    }
    let failure = toFailure(error);
    const isProductive = this.#isProductive(attempt);
    const isSocket = attempt.transport === "websocket";
    const mayRenew = this.#net.options[isSocket ? "ticket" : "token"] && (isSocket || attempt.ready);
    // A request was repeated with a new token already.
    if (failure.unauthenticated && mayRenew && (isProductive || attempt.reason !== "renew")) {
      this.#reason = "renew";
      return this.#ended(attempt, failure, { exactly: 0 });
    }
    if (RESETS.has(failure.code) && failure.kind === "final") return this.#reset(failure);
    if (!attempt.ready && failure.kind === "unreadable") {
      failure = new DownlinkError("foreign", "not-a-feed", failure.message, { fallback: true });
    }
    if (failure.kind === "unreadable" && !isProductive) this.#unreadable++;
    const isFinal =
      failure.kind === "final" ||
      (failure.kind === "foreign" && !this.#wasReady) ||
      (failure.kind === "unreadable" && this.#unreadable >= MAX_UNREADABLE);
    if (isFinal && !(failure.fallback && this.#index + 1 < this.#transports.length)) {
      return this.close({ state: "closed", ended: true, reason: failure.message, error: failure });
    }
    this.#ended(attempt, failure, failure.retryAfter === undefined ? { exactly: attempt.retry } : { atLeast: failure.retryAfter });
  }

  /** Schedules the next attempt, or falls back to the next transport. */
  #ended(attempt: Attempt, failure: DownlinkError, server: ServerDelay): void {
    // A server that is down says nothing about the transports.
    const { fallback, status } = failure;
    const isDown = !attempt.ready && failure.code === "unreachable" && (status === undefined ? !fallback : this.#wasReady);
    if (isDown) this.#index = 0;
    else if (failure.fallback && this.#fallBack(attempt)) {
      this.#wait = { delay: 0, mayWake: true, reason: failure.message };
      return;
    }
    if (this.#isProductive(attempt)) this.#unproductive = this.#unreadable = 0;
    else this.#unproductive++;
    const delay = nextDelay(this.#range, server, this.#unproductive);
    const mayWake = server.exactly === undefined && server.atLeast === undefined;
    this.#wait = { delay, mayWake, reason: failure.message };
  }

  #fallBack(attempt: Attempt): boolean {
    this.#failures++;
    if (this.#index + 1 === this.#transports.length) return false;
    if (this.#worked.has(attempt.transport) && this.#failures < MAX_FAILURES) return false;
    this.#index++;
    this.#failures = 0;
    return true;
  }

  /** Whether the connection delivered something, or lasted long enough. */
  #isProductive(attempt: Attempt): boolean {
    return attempt.productive || (attempt.ready && Date.now() - attempt.openedAt >= this.#range.max);
  }

  async #reset(failure: DownlinkError): Promise<void> {
    const reset: Reset = { reason: failure.code, ...(typeof failure.cause === "string" && { head: failure.cause as Cursor }) };
    this.#set({ state: "reset", reason: failure.code, error: failure });
    const goesOn = await this.#source.reset(reset);
    if (this.#closed.signal.aborted) return;
    if (!goesOn) return this.close({ state: "reset", ended: true, reason: failure.code, error: failure });
    this.#unproductive++;
    // All clients of the log learn it at the same time.
    this.#wait = { delay: this.#unproductive > 1 ? nextDelay(this.#range, {}, 0) : Math.random() * this.#range.min, mayWake: false, reason: failure.code };
  }

  #planUpgrade(): void {
    clearTimeout(this.#upgradeTimer);
    const { upgradeAfter = 300_000 } = this.#net.options;
    const factor = Math.min(2 ** this.#failedUpgrades, MAX_UPGRADE_FACTOR);
    this.#upgradeTimer = setTimeout(() => void this.#upgrade(), upgradeAfter * factor * (1 + Math.random()));
  }

  /** Opens a preferred transport beside the one in use, and switches when it is ready. */
  async #upgrade(): Promise<void> {
    for (let index = 0; index < this.#index && this.#attempt?.ready; index++) {
      const transport = this.#transports[index] ?? "sse";
      const attempt = new Attempt(transport, this.#net, this.#source, "connect");
      this.#upgrading = attempt;
      const { readyDeadline = 10_000 } = this.#net.options;
      const timer = setTimeout(() => attempt.close(temporary("not ready in time")), readyDeadline);
      const frames = OPEN[transport](attempt);
      const first = await frames.next().then(({ value }) => value, () => undefined);
      clearTimeout(timer);
      this.#upgrading = undefined;
      if (first?.some(({ frame }) => frame === "ready") && !attempt.controller.signal.aborted && !suspended()) {
        this.#upgraded = { attempt, index, frames, first };
        this.#attempt?.close(AGAIN);
        return;
      }
      attempt.close(AGAIN);
      void frames.return().catch(() => {});
    }
    if (this.#closed.signal.aborted) return;
    this.#failedUpgrades++;
    if (this.#index > 0) this.#planUpgrade();
  }
}

const CONTROL = new Set(["ready", "bye", "reset", "problem", "heartbeat"]);

/** The application's handler threw: what it was given is not handled. */
export class HandlerError {
  readonly failure: DownlinkError;

  constructor(cause: unknown) {
    this.failure = new DownlinkError("final", "handler-failed", `the handler failed: ${String(cause)}`, { cause });
  }
}
