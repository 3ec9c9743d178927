import { onTestFinished, vi } from "vitest";

type Listener = (event: { type: string }) => void;

/** The events of a page, which Node does not have. */
export function pageEvents(): { count: () => number; fire: (type: string) => void } {
  const listeners = new Map<string, Listener>();
  vi.stubGlobal("addEventListener", (type: string, listener: Listener) => void listeners.set(type, listener));
  vi.stubGlobal("removeEventListener", (type: string) => void listeners.delete(type));
  onTestFinished(() => void vi.unstubAllGlobals());
  return { count: () => listeners.size, fire: (type) => listeners.get(type)?.({ type }) };
}
