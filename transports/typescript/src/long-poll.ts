import type { Attempt, Frames } from "./attempt.js";
import { DEFAULT_DELAY, nextDelay, sleep } from "./delay.js";
import { fromPage, getPage, resume } from "./page.js";

/** In seconds. */
const DEFAULT_WAIT = 25;

export async function* longPoll(attempt: Attempt): Frames {
  const { net, signal, source: { spec } } = attempt;
  const { pollWait = DEFAULT_WAIT } = net.options;
  // Each poll has a deadline of its own.
  attempt.feed();
  let reason = attempt.reason;
  let isLive = false;
  for (let after = attempt.after; ; reason = "connect") {
    const began = Date.now();
    const page = await getPage(net, spec.path, resume(spec, after), signal, reason, isLive ? pollWait : 0);
    const token = (page["token"] as string | undefined) ?? page.cursor;
    const frames = fromPage(page, isLive);
    // A page says what `ready` says elsewhere, except where it begins: only the server knows that of `last:60`.
    if (!attempt.ready) frames.unshift({ frame: "ready", head: page["head"] });
    if (isLive && token === after) frames.length = 0;
    isLive ||= !page.more;
    if (frames.length) yield frames;
    // A server that answers at once and has nothing must not be asked in a busy loop.
    if (isLive && token === after && Date.now() - began < 1000) {
      await sleep(nextDelay({ ...DEFAULT_DELAY, ...net.options.delay }, {}, 0), signal);
    }
    after = token;
  }
}
