import { onAbort } from "./watchdog.js";

/**
 * What happens to the page: `suspend` and `resume` around a freeze or the back/forward cache, `offline`,
 * `online`, and `visible`.
 */
export type PageEvent = "suspend" | "resume" | "offline" | "online" | "visible";

type Listener = (event: PageEvent) => void;

const EVENTS: Readonly<Record<string, PageEvent>> = {
  pagehide: "suspend",
  freeze: "suspend",
  pageshow: "resume",
  resume: "resume",
  offline: "offline",
  online: "online",
  visibilitychange: "visible",
};

const listeners = new Set<Listener>();
let isSuspended = false;

function onEvent({ type }: Event): void {
  const event = EVENTS[type] as PageEvent;
  if ((event === "visible" && document.hidden) || (event === "resume" && !isSuspended)) return;
  if (event === "suspend" || event === "resume") isSuspended = event === "suspend";
  for (const listener of [...listeners]) listener(event);
}

function register(how: "addEventListener" | "removeEventListener"): void {
  // Only pages and workers have it. The events of the document are captured on their way to it.
  for (const type in EVENTS) (globalThis as Partial<typeof globalThis>)[how]?.(type, onEvent, true);
}

/** Tells what happens to the page until the signal aborts. Registers with the page while it is needed, and not at import. */
export function onPage(signal: AbortSignal, listener: Listener): void {
  if (listeners.size === 0) register("addEventListener");
  listeners.add(listener);
  onAbort(signal, () => {
    listeners.delete(listener);
    if (listeners.size) return;
    register("removeEventListener");
    isSuspended = false;
  });
}

/** Whether the page is frozen or in the back/forward cache, where a connection would keep it from being. */
export const suspended = (): boolean => isSuspended;

export const offline = (): boolean => globalThis.navigator?.onLine === false;
