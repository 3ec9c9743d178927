import { unreadable } from "./failure.js";
import { ANSWER_DEADLINE, json, type Net, type Query } from "./net.js";
import type { Frame, Spec } from "./source.js";
import type { TokenReason } from "./types.js";
import { Watchdog } from "./watchdog.js";

export type Page = Frame & { more?: boolean };

/** A page of a feed or of a live query; with `wait`, in seconds, once there is something. */
export async function getPage(net: Net, path: string, query: Query, outer: AbortSignal, reason: TokenReason = "connect", wait = 0): Promise<Page> {
  const dog = new Watchdog(outer);
  try {
    const limited: Query = path === "/feed" ? [...query, ["limit", "1000"]] : query;
    const all: Query = wait ? [...limited, ["wait", `${wait}`]] : limited;
    const deadline = ANSWER_DEADLINE + wait * 1000;
    const answer = await net.fetch(path, dog, "application/json", { query: all, reason, deadline });
    const page = (await json(answer, dog.signal)) as Page;
    if (!page?.cursor) throw unreadable(`this is not a page: check the URL ${answer.url}`);
    return page;
  } finally {
    dog.abort();
  }
}

/** The parameters of a request that resumes. */
export function resume({ command: { filter, params = filter } }: Spec, after: string | undefined): Query {
  const fields = Object.entries({ ...params, ...(after !== undefined && { after }) });
  return fields.flatMap(([field, values]) => [values].flat().map((value): [string, string] => [field, value]));
}

/** A page, as the frames that a stream would have sent. */
export function fromPage(page: Page, isLive: boolean): Frame[] {
  const { cursor, head, events } = page;
  // A page of a live query is a frame.
  if (!events) return [page];
  const frames: Frame[] = events.length ? [{ frame: "events", events }] : [];
  const moved = cursor === undefined ? {} : { cursor };
  frames.push({ frame: page.more || isLive ? "checkpoint" : "live", head, ...moved });
  return frames;
}
