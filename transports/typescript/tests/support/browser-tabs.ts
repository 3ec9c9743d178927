import { onTestFinished, vi } from "vitest";

import type * as Core from "../../src/index.js";
import type * as LiveModule from "../../src/live.js";

type Held = (value?: unknown) => void;

/** Web Locks as far as tabs need them. */
class Locks {
  #queues = new Map<string, { grant: () => void }[]>();
  #held = new Map<string, (error: Error) => void>();

  async request(name: string, options: LockOptions, callback: (lock: null) => unknown): Promise<unknown> {
    if (options.steal) {
      this.#held.get(name)?.(new DOMException("stolen", "AbortError"));
      this.#held.delete(name);
    }
    if (this.#held.has(name)) await this.#wait(name, options.signal);
    let robbed!: (error: Error) => void;
    const theft = new Promise<never>((_, reject) => (robbed = reject));
    this.#held.set(name, robbed);
    try {
      return await Promise.race([Promise.resolve(callback(null)), theft]);
    } finally {
      if (this.#held.get(name) === robbed) {
        this.#held.delete(name);
        this.#queues.get(name)?.shift()?.grant();
      }
    }
  }

  #wait(name: string, signal?: AbortSignal): Promise<void> {
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    return new Promise((resolve, reject) => {
      const entry = { grant: resolve as Held };
      queue.push(entry);
      signal?.addEventListener("abort", () => {
        if (queue.includes(entry)) queue.splice(queue.indexOf(entry), 1);
        reject(signal.reason as Error);
      });
    });
  }
}

export interface Tab {
  core: typeof Core;
  live: typeof LiveModule;
  /** Neither sends to other tabs nor hears from them. */
  setDeaf(deaf: boolean): void;
}

/** Opens tabs in this process: each has modules of its own, and all have the same locks. */
export function browser(): { open: () => Promise<Tab> } {
  const Native = BroadcastChannel;
  vi.stubGlobal("navigator", { locks: new Locks() });
  vi.stubGlobal("location", undefined);
  onTestFinished(() => void vi.unstubAllGlobals());
  const open = async (): Promise<Tab> => {
    let isDeaf = false;
    vi.stubGlobal(
      "BroadcastChannel",
      class extends Native {
        override postMessage(message: unknown): void {
          if (!isDeaf) super.postMessage(message);
        }

        override set onmessage(listen: (event: MessageEvent) => void) {
          super.onmessage = (event: unknown) => {
            if (!isDeaf) listen(event as MessageEvent);
          };
        }
      },
    );
    const Mine = globalThis.BroadcastChannel;
    vi.resetModules();
    const core = (await import("../../src/index.js")) as typeof Core;
    const live = (await import("../../src/live.js")) as typeof LiveModule;
    // The module takes the class when it opens its channel.
    const connect: typeof core.connect = (base, options) => {
      vi.stubGlobal("BroadcastChannel", Mine);
      return core.connect(base, options);
    };
    return { core: { ...core, connect }, live, setDeaf: (deaf) => (isDeaf = deaf) };
  };
  return { open };
}
