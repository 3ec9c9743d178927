import { createSignal } from "solid-js";

/** A network that can be cut, to see what happens then. Pass its `fetch` and `WebSocket` to `connect`. */
export function createNetwork() {
  const [isCut, setCut] = createSignal(false);
  const sockets = new Set<WebSocket>();
  let requests = new AbortController();

  class CuttableSocket extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      if (isCut()) throw new Error("the connection was cut");
      super(url, protocols);
      sockets.add(this);
      this.addEventListener("close", () => sockets.delete(this));
    }
  }

  const cuttableFetch: typeof fetch = (input, init) => {
    const signals = [requests.signal, init?.signal].filter((signal) => signal instanceof AbortSignal);
    return fetch(input, { ...init, signal: AbortSignal.any(signals) });
  };

  return {
    fetch: cuttableFetch,
    WebSocket: CuttableSocket,
    isCut,
    /** Cuts every connection, and allows none for this time. */
    cut(milliseconds: number) {
      if (isCut()) return;
      setCut(true);
      for (const socket of sockets) socket.close();
      requests.abort();
      setTimeout(() => {
        requests = new AbortController();
        setCut(false);
        // A browser says it when a network is back, and what is waiting reconnects at once.
        window.dispatchEvent(new Event("online"));
      }, milliseconds);
    },
  };
}
