/**
 * What happens to the page: `suspend` and `resume` around a freeze or the back/forward cache, `offline`,
 * `online`, and `visible`.
 */
export type PageEvent = "suspend" | "resume" | "offline" | "online" | "visible";

type Listener = (event: PageEvent) => void;

const listeners = new Set<Listener>();
let isSuspended = false;
let stop: (() => void) | undefined;

/** Registers with the page while there is at least one listener, and not at import. */
export function onPage(listener: Listener): () => void {
  listeners.add(listener);
  stop ??= register();
  return () => {
    if (listeners.delete(listener) && listeners.size === 0) {
      stop?.();
      stop = undefined;
    }
  };
}

/** Whether the page is frozen or in the back/forward cache, where a connection would keep it from being. */
export const suspended = (): boolean => isSuspended;

export const offline = (): boolean => typeof navigator !== "undefined" && navigator.onLine === false;

function register(): () => void {
  const { document } = globalThis as { document?: Document };
  const added: (() => void)[] = [];
  const on = (target: EventTarget | undefined, type: string, tell: () => void) => {
    if (!target?.addEventListener) return;
    target.addEventListener(type, tell);
    added.push(() => target.removeEventListener(type, tell));
  };
  const suspend = () => {
    isSuspended = true;
    emit("suspend");
  };
  const resume = () => {
    if (!isSuspended) return;
    isSuspended = false;
    emit("resume");
  };
  const page = globalThis as unknown as EventTarget;
  on(page, "pagehide", suspend);
  on(page, "pageshow", resume);
  on(document, "freeze", suspend);
  on(document, "resume", resume);
  on(page, "offline", () => emit("offline"));
  on(page, "online", () => emit("online"));
  on(document, "visibilitychange", () => document?.visibilityState === "visible" && emit("visible"));
  return () => {
    for (const remove of added) remove();
    isSuspended = false;
  };
}

function emit(event: PageEvent): void {
  for (const listener of [...listeners]) listener(event);
}
