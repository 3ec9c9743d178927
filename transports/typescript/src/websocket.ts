import type { Attempt } from "./attempt.js";
import { suspended } from "./lifecycle.js";
import type { Frame } from "./source.js";
import { onAbort } from "./watchdog.js";

export async function* webSocket(attempt: Attempt): AsyncGenerator<Frame[], void, undefined> {
  const { net, source, signal, after } = attempt;
  const socket = net.socket(attempt.reason);
  const subscription = socket.subscribe({ ...source.spec.command, after });
  // What waits is not handled any more, and its socket is told at once.
  const leave = () => {
    subscription.end(signal.reason);
    socket.unsubscribe(subscription, suspended());
  };
  onAbort(signal, leave);
  try {
    yield* subscription.runs();
    // It was given back because the handler was slow.
    attempt.retry = 0;
  } finally {
    leave();
  }
}
