/**
 * What happens to the page: `suspend` and `resume` around a freeze or the back/forward cache, `offline`,
 * `online`, and `visible`.
 */
export type PageEvent = "suspend" | "resume" | "offline" | "online" | "visible";

type Listener = (event: PageEvent) => void;

const PAGE: Readonly<Record<string, PageEvent>> = { pagehide: "suspend", pageshow: "resume", offline: "offline", online: "online" };
const DOCUMENT: Readonly<Record<string, PageEvent>> = { freeze: "suspend", resume: "resume", visibilitychange: "visible" };

const listeners = new Set<Listener>();
let isSuspended = false;

function onEvent({ type }: Event): void {
  const event = PAGE[type] ?? DOCUMENT[type];
  if (!event || (event === "visible" && document.hidden) || (event === "resume" && !isSuspended)) return;
  if (event === "suspend" || event === "resume") isSuspended = event === "suspend";
  for (const listener of [...listeners]) listener(event);
}

function register(how: "addEventListener" | "removeEventListener"): void {
  const { document } = globalThis as { document?: Document };
  // Only pages and workers have these.
  for (const type in PAGE) (globalThis as Partial<typeof globalThis>)[how]?.(type, onEvent);
  for (const type in DOCUMENT) document?.[how](type, onEvent);
}

/** Registers with the page while there is at least one listener, and not at import. */
export function onPage(listener: Listener): () => void {
  if (listeners.size === 0) register("addEventListener");
  listeners.add(listener);
  return () => {
    if (!listeners.delete(listener) || listeners.size) return;
    register("removeEventListener");
    isSuspended = false;
  };
}

/** Whether the page is frozen or in the back/forward cache, where a connection would keep it from being. */
export const suspended = (): boolean => isSuspended;

export const offline = (): boolean => globalThis.navigator?.onLine === false;
