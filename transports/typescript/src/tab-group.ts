import type { Follow } from "./feed.js";
import { onPage, suspended } from "./lifecycle.js";
import type { Member } from "./tab-member.js";
import { type Is, keyOf, type Message, type Run, type Want } from "./tab-messages.js";
import { Upstream } from "./tab-upstream.js";

/** How long a leader may be silent before its lock is stolen, in milliseconds: a frozen tab keeps its lock. */
const SILENCE = 2000;
const PING = 500;
/** An upstream that no tab has asked for so long ends. Hidden tabs may run their timers once a minute. */
const UNWANTED = 180_000;

/** Those of this tab, by name. */
export const groups = new Map<string, Group>();

/** The tabs of one user at one server, as one of them sees them. */
export class Group {
  readonly #members = new Map<Member, string>();
  readonly #upstreams = new Map<string, Upstream>();
  readonly #closed = new AbortController();
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
    onPage(this.#closed.signal, (event) => {
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
    this.#closed.abort();
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
