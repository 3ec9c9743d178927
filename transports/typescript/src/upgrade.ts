import type { Attempt, Frames } from "./attempt.js";
import { sleep } from "./delay.js";
import type { Reconnector } from "./reconnector.js";
import type { Frame } from "./source.js";
import { onAbort } from "./watchdog.js";

const MAX_FACTOR = 12;

/** Tries preferred transports again while this one is in use, less and less often. */
export async function upgrade(reconnector: Reconnector, used: Attempt): Promise<void> {
  const { upgradeAfter = 300_000 } = used.net.options;
  do {
    const factor = Math.min(2 ** reconnector.failedUpgrades, MAX_FACTOR);
    await sleep(upgradeAfter * factor * (1 + Math.random()), used.signal);
    reconnector.failedUpgrades++;
  } while (!(await switched(reconnector, used)));
  reconnector.failedUpgrades = 0;
}

/** Opens connections beside the one in use, and switches to the first that is ready. */
async function switched(reconnector: Reconnector, used: Attempt): Promise<boolean> {
  for (let index = 0; index < used.index && !used.signal.aborted; index++) {
    const attempt = reconnector.open(index);
    const first = await firstFrames(attempt, used);
    if (first.some(({ frame }) => frame === "ready") && !attempt.signal.aborted) {
      attempt.frames = after(first, attempt.frames);
      reconnector.use(attempt);
      return true;
    }
    attempt.abort();
  }
  return false;
}

/** Gives the attempt up when it takes too long, and when the connection in use ends. */
async function firstFrames(attempt: Attempt, used: Attempt): Promise<Frame[]> {
  const { readyDeadline = 10_000 } = used.net.options;
  const done = new AbortController();
  const giveUp = () => attempt.abort();
  onAbort(used.signal, giveUp, done.signal);
  const deadline = setTimeout(giveUp, readyDeadline);
  const first = await attempt.frames.next().catch(() => undefined);
  clearTimeout(deadline);
  done.abort();
  return first?.value ?? [];
}

async function* after(first: Frame[], rest: Frames): Frames {
  yield first;
  return yield* rest;
}
