import type { Attempt, Frames } from "./attempt.js";
import { temporary, unreadable } from "./failure.js";
import { resume } from "./page.js";
import { silence } from "./socket.js";
import { type Frame, parseFrame, push } from "./source.js";

/** Longer than any event of a feed; bounds what a server can make a client keep. */
const MAX_LINE = 32 << 20;

/** Parses the bytes of an event stream, however they are cut. */
export class SseParser {
  /** The last `retry` of the stream, in milliseconds. */
  retry: number | undefined;
  readonly #decoder = new TextDecoder();
  #rest = "";
  #data: string | undefined;

  /** The frames that these bytes complete. */
  push(bytes: Uint8Array): Frame[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const frames: Frame[] = [];
    let start = 0;
    for (const line of this.#rest.matchAll(/([^\r\n]*)(\r\n|\n|\r(?!$))/g)) {
      start += line[0].length;
      this.#line(line[1] ?? "", frames);
    }
    this.#rest = this.#rest.slice(start);
    if (this.#rest.length + (this.#data?.length ?? 0) > MAX_LINE) throw unreadable("an event of the stream is too long");
    return frames;
  }

  #line(line: string, frames: Frame[]): void {
    if (!line) {
      if (this.#data !== undefined) push(frames, parseFrame(this.#data));
      this.#data = undefined;
      return;
    }
    const colon = line.indexOf(":");
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    const name = colon < 0 ? line : line.slice(0, colon);
    if (name === "data") this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

export async function* sse(attempt: Attempt): Frames {
  const { net, source, reason } = attempt;
  const query = resume(source.spec, attempt.after);
  const answer = await net.fetch(source.spec.path, attempt, "text/event-stream", { query, reason });
  const parser = new SseParser();
  let silent = silence(15_000);
  const reader = answer.body?.getReader();
  try {
    for (;;) {
      attempt.feed(silent, () => temporary(`the server was silent for ${silent} ms`));
      const { value } = (await reader?.read()) ?? {};
      attempt.feed();
      if (!value) throw temporary("the connection ended", { fallback: !attempt.ready, exactly: parser.retry });
      const frames = parser.push(value);
      for (const { heartbeat_ms } of frames) if (heartbeat_ms) silent = silence(heartbeat_ms);
      if (frames.length) yield frames;
    }
  } finally {
    void reader?.cancel().catch(() => {});
  }
}
