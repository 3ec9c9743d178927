import { DEFAULT_DELAY, nextDelay, type ServerDelay, sleep } from "./delay.js";
import { type DownlinkError, toFailure } from "./failure.js";
import type { Follow, Handle } from "./feed.js";
import { onPage, suspended } from "./lifecycle.js";
import type { Net } from "./net.js";
import { fromPage, getPage, resume } from "./page.js";
import type { Frame, Source, Spec } from "./source.js";
import type { Status } from "./types.js";

/** How long a leader may be silent before its lock is stolen, in milliseconds: a frozen tab keeps its lock. */
const SILENCE = 2000;
const PING = 500;
/** An upstream that no tab has asked for so long ends. Hidden tabs may run their timers once a minute. */
const UNWANTED = 180_000;
/** How many runs may wait for a slow handler; after that they are read from the server. */
const MAX_RUNS = 64;

interface Want {
  readonly spec: Spec;
  readonly at: string;
}

/** What came from the server after `prev`. */
interface Run {
  readonly run: string;
  readonly prev: string;
  readonly at: string;
  readonly frames: readonly Frame[];
}

/** The state of the leader's connection, and how far it is. */
interface Is {
  readonly is: string;
  readonly at: string;
  readonly status: Status;
}

type Message =
  | Run
  | Is
  /** What a tab follows; also asks whether there is a leader. */
  | { readonly want: readonly Want[] }
  /** There is a leader; `isNew` asks the tabs what they want. */
  | { readonly isNew: boolean };

const keyOf = ({ path, query }: Spec): string => JSON.stringify([path, query]);
/** What has to be equal for a change of rows to fit; feeds have only cursors. */
const hash = (at: string): string | undefined => at.split("~")[1];
/** The newest place that these frames lead to. */
const end = (frames: readonly Frame[], at: string): string =>
  frames.reduce((at, { token, cursor, events }) => (token as string | undefined) ?? cursor ?? events?.at(-1)?.cursor ?? at, at);
/** Whether all before this is known to a tab that is there. */
const covers = (at: string, prev: string): boolean => (hash(prev) ? hash(at) === hash(prev) : at.slice(0, 16) >= prev.slice(0, 16));

const groups = new Map<string, Group>();

/** The tabs of one user at one server, as one of them sees them. */
class Group {
  readonly #members = new Map<Member, string>();
  readonly #upstreams = new Map<string, Upstream>();
  readonly #leave: () => void;
  #channel: BroadcastChannel | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #queued: AbortController | undefined;
  #release: (() => void) | undefined;
  #heard = 0;
  #ticked = 0;

  constructor(
    readonly name: string,
    readonly alone: Follow,
  ) {
    this.#leave = onPage((event) => {
      if (event === "suspend") this.#stop();
      else if (event === "resume") this.#start();
      else if (event === "visible") this.#tick();
    });
    this.#start();
  }

  add(member: Member): void {
    this.#members.set(member, keyOf(member.source.spec));
  }

  remove(member: Member): void {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#leave();
    this.#stop();
    groups.delete(this.name);
  }

  #start(): void {
    if (suspended()) return;
    this.#channel = new BroadcastChannel(this.name);
    this.#channel.onmessage = ({ data }) => this.#take(data as Message);
    this.#timer = setInterval(() => this.#tick(), PING);
    this.#ticked = this.#heard = Date.now();
    this.#queue({});
    for (const member of this.#members.keys()) member.gap();
  }

  /** Gives up the lock, if this tab has it, so that another one leads at once. */
  #stop(): void {
    clearInterval(this.#timer);
    this.#queued?.abort();
    this.#demote();
    this.#channel?.close();
    this.#channel = undefined;
  }

  #queue(how: LockOptions): void {
    this.#queued?.abort();
    const queued = new AbortController();
    this.#queued = queued;
    const lead = () => this.#lead();
    // A stolen lock takes no signal.
    navigator.locks.request(this.name, how.steal ? how : { signal: queued.signal }, lead).then(
      () => {},
      () => {
        // It was stolen, unless the waiting was ended by this tab.
        if (queued.signal.aborted || !this.#channel) return;
        this.#demote();
        this.#queue({});
      },
    );
  }

  #lead(): Promise<void> | undefined {
    if (!this.#channel) return undefined;
    this.#channel.postMessage({ isNew: true } satisfies Message);
    return new Promise((resolve) => {
      this.#release = resolve;
      this.want();
    });
  }

  #demote(): void {
    for (const upstream of this.#upstreams.values()) upstream.close();
    this.#upstreams.clear();
    this.#release?.();
    this.#release = undefined;
    this.#heard = Date.now();
  }

  #tick(): void {
    if (!this.#channel) return;
    const now = Date.now();
    // This tab was frozen itself, or its timers are throttled: the leader gets another chance.
    if (now - this.#ticked > SILENCE) this.#heard = now;
    this.#ticked = now;
    for (const [key, upstream] of this.#upstreams) {
      if (now - upstream.wanted > UNWANTED) {
        upstream.close();
        this.#upstreams.delete(key);
      }
    }
    if (!this.#release && now - this.#heard > SILENCE + Math.random() * PING) {
      this.#heard = now;
      this.#queue({ steal: true });
    }
    this.want();
  }

  /** Asks for what this tab's members follow. */
  want(): void {
    const want = [...this.#members.keys()].flatMap(({ source: { spec }, at }) => (at === undefined ? [] : [{ spec, at }]));
    if (this.#release) this.#serve(want);
    else this.#channel?.postMessage({ want } satisfies Message);
  }

  #send(message: Run | Is): void {
    this.#channel?.postMessage(message);
    this.#deliver(message);
  }

  #take(message: Message): void {
    if ("want" in message) {
      if (this.#release) this.#serve(message.want);
      return;
    }
    // Also of a tab that was robbed and does not know it yet: what it sends is true.
    this.#heard = Date.now();
    if (!("isNew" in message)) this.#deliver(message);
    else if (message.isNew) this.want();
  }

  #serve(want: readonly Want[]): void {
    if (want.length === 0) this.#channel?.postMessage({ isNew: false } satisfies Message);
    for (const { spec, at } of want) {
      const key = keyOf(spec);
      let upstream = this.#upstreams.get(key);
      if (!upstream) this.#upstreams.set(key, (upstream = new Upstream(spec, at, this.alone, (message) => this.#send(message), () => this.#upstreams.delete(key))));
      upstream.wanted = Date.now();
      this.#send({ is: key, at: upstream.at, status: upstream.status });
    }
  }

  #deliver(message: Run | Is): void {
    const key = "run" in message ? message.run : message.is;
    for (const [member, follows] of this.#members) if (follows === key) member.take(message);
  }
}

/** A connection of the leader. */
class Upstream {
  wanted = Date.now();
  status: Status = { state: "catching-up" };
  readonly #handle: Handle;

  constructor(spec: Spec, public at: string, alone: Follow, send: (message: Run | Is) => void, remove: () => void) {
    const key = keyOf(spec);
    this.#handle = alone(
      {
        spec,
        after: () => this.at,
        deliver: (frames) => {
          const prev = this.at;
          this.at = end(frames, prev);
          send({ run: key, prev, at: this.at, frames });
          return this.at !== prev;
        },
        // Each tab finds out for itself, and then says anew where it is.
        reset: () => false,
      },
      ({ error: _, ...status }) => {
        if (status.ended) remove();
        this.status = status.state === "connecting" ? { ...status, state: "catching-up" } : status;
        send({ is: key, at: this.at, status: this.status });
      },
    );
  }

  close(): void {
    this.#handle.close();
  }
}

/** A feed or a live query of this tab. */
class Member implements Handle {
  /** Where it is; nothing until its first page. */
  at: string | undefined;
  readonly #closed = new AbortController();
  #runs: Run[] = [];
  #isBusy = false;
  #hasGap = true;
  #wake: (() => void) | undefined;
  #alone: Handle | undefined;
  #unproductive = 0;

  constructor(
    readonly group: Group,
    readonly net: Net,
    readonly source: Source,
    readonly tell: (status: Status) => void,
  ) {
    void this.#run();
  }

  close(): void {
    this.#closed.abort();
    this.#wake?.();
    this.#alone?.close();
    this.group.remove(this);
  }

  gap(): void {
    this.#hasGap = true;
    this.#wake?.();
  }

  take(message: Run | Is): void {
    if ("run" in message) {
      this.#runs.push(message);
      if (this.#runs.length > MAX_RUNS) this.#hasGap = true;
      if (this.#hasGap) this.#runs = [];
      return this.#wake?.();
    }
    const { status, at } = message;
    // This tab finds out why, but not in a busy loop.
    if (status.ended) void setTimeout(() => this.gap(), this.#delay({}));
    else if (this.#hasGap || this.#isBusy || this.#runs.length || this.at === undefined) return;
    // The leader has sent what this tab has missed.
    else if (!covers(this.at, at)) this.gap();
    else this.tell(status);
  }

  #delay(server: ServerDelay): number {
    return nextDelay({ ...DEFAULT_DELAY, ...this.net.options.delay }, server, ++this.#unproductive);
  }

  async #run(): Promise<void> {
    this.tell({ state: "connecting" });
    while (!this.#closed.signal.aborted && !this.#alone) {
      const run = this.#runs.shift();
      try {
        if (this.#hasGap) await this.#page();
        else if (run) await this.#apply(run);
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      } catch (error) {
        if (!this.#closed.signal.aborted) await this.#failed(toFailure(error));
      }
    }
  }

  async #apply({ prev, at, frames }: Run): Promise<void> {
    const mine = this.at ?? "";
    if (!covers(mine, prev) && frames[0]?.frame !== "result") return this.gap();
    if (!hash(at) && covers(mine, at)) return;
    this.#isBusy = true;
    await this.source.deliver(frames);
    this.#isBusy = false;
    this.at = this.source.after();
  }

  /** Reads what is missing from the server, up to its head. */
  async #page(): Promise<void> {
    const { spec } = this.source;
    this.#runs = [];
    for (let more: boolean | undefined = true; more; ) {
      const page = await getPage(this.net, spec.path, resume(spec, this.source.after()), this.#closed.signal);
      this.tell({ state: "catching-up" });
      await this.source.deliver(fromPage(page, false));
      more = page.more;
    }
    this.#unproductive = 0;
    this.#hasGap = false;
    this.at = this.source.after();
    this.group.want();
  }

  async #failed(failure: DownlinkError): Promise<void> {
    const isReset = failure.kind === "final" && /^cursor-(ahead|expired)$|^history-changed$/.test(failure.code);
    if (isReset) {
      const status: Status = { state: "reset", reason: failure.code, error: failure };
      this.tell(status);
      if (!(await this.source.reset({ reason: failure.code }))) this.tell({ ...status, ended: true });
      this.at = undefined;
      this.#hasGap = true;
    } else if (failure.kind === "final" || failure.kind === "foreign") {
      // It says why, and knows what else could work.
      this.group.remove(this);
      this.#alone = this.group.alone(this.source, this.tell);
      return;
    }
    const delay = this.#delay({ atLeast: failure.retryAfter });
    if (!isReset) this.tell({ state: this.at === undefined ? "connecting" : "reconnecting", reason: failure.message, retryIn: delay });
    await sleep(delay, this.#closed.signal).catch(() => {});
  }
}

/**
 * Shares one connection between the tabs of a user: one tab holds a Web Lock and the connection, and the others get
 * what it receives by `BroadcastChannel`. A tab that has missed something reads it from the server. Where there are
 * no locks, as without a secure context, each tab has its own connection.
 */
export function shared(net: Net, identity: string, alone: Follow): Follow {
  const { locks } = globalThis.navigator ?? {};
  if (!locks || typeof BroadcastChannel === "undefined") return alone;
  // The number is that of the messages: a tab may have an older version of the page.
  const name = `downlink:1:${new URL(`${net.base}/`, globalThis.location?.href)}:${identity}`;
  return (source, tell) => {
    let group = groups.get(name);
    if (!group) groups.set(name, (group = new Group(name, alone)));
    const member = new Member(group, net, source, tell);
    group.add(member);
    return member;
  };
}
