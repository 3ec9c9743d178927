import type { Attempt, Frames } from "./attempt.js";
import { suspended } from "./lifecycle.js";
import { onAbort } from "./watchdog.js";

export function webSocket({ net, source, signal, after, reason }: Attempt): Frames {
  const socket = net.socket(reason);
  const subscription = socket.subscribe({ ...source.spec.command, after });
  // What waits is not handled any more, and its socket is told at once.
  onAbort(signal, () => {
    subscription.end(signal.reason);
    socket.unsubscribe(subscription, suspended());
  });
  return subscription.runs();
}
