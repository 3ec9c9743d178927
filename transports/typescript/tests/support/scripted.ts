import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, createServer as createTcpServer, type Socket } from "node:net";

import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";

import { LiveRows } from "./live-rows.js";

export interface Logged {
  cursor: string;
  id: string;
  stream: string;
  version: number;
  type: string;
  time: string;
  data: { n: number; text: string };
  metadata: object;
  tags: string[];
}

export const cursorAt = (position: number): string => `${position.toString(16).padStart(16, "0")}-${position.toString(16).padStart(8, "0")}`;

type Refuse = (request: IncomingMessage) => { status: number; headers?: Record<string, string>; body?: string } | undefined;

/** A feed in memory that does what a test says. */
export class Scripted {
  log: Logged[] = [];
  /** The path and query of every request. */
  requests: string[] = [];
  /** Where clients have resumed. */
  afters: string[] = [];
  heads: Record<string, string | undefined>[] = [];
  open = 0;
  heartbeat = 15_000;
  /** How many events it sends again to a client that resumes. */
  rewind = 0;
  /** Answers before the feed does. */
  refuse: Refuse = () => undefined;
  /** What a WebSocket is told instead of a subscription. */
  onSubscribe: ((socket: WebSocket, command: { sub: string; after?: string }) => boolean) | undefined;
  /** What `/live/board` answers, whatever its parameters. */
  readonly board = new LiveRows();
  /** The frames that live queries were sent. */
  sent: string[] = [];
  /** Answers commands. */
  onPost: (body: unknown, request: IncomingMessage) => { status: number; headers?: Record<string, string>; body?: string } = () => ({ status: 204 });
  #wake = new Set<() => void>();
  #sockets = new Set<Socket>();
  readonly #server = createServer((request, response) => this.#answer(request, response));
  origin = "";

  static async start(): Promise<Scripted> {
    const scripted = new Scripted();
    const server = scripted.#server;
    server.on("connection", (socket) => {
      scripted.#sockets.add(socket);
      socket.on("close", () => scripted.#sockets.delete(socket));
    });
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "feed.v1.json" });
    server.on("upgrade", (request, socket, head) => {
      scripted.#note(request);
      const refused = scripted.refuse(request);
      if (refused) return void socket.end(`HTTP/1.1 ${refused.status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      sockets.handleUpgrade(request, socket, head, (opened) => scripted.#socket(opened));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    scripted.origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    onTestFinished(() => scripted.stop());
    return scripted;
  }

  stop(): void {
    this.#server.close();
    this.cut();
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  append(...numbers: number[]): void {
    for (const n of numbers) {
      const position = this.log.length + 1;
      this.log.push({
        cursor: cursorAt(position), id: `id-${n}`, stream: "numbers", version: position, type: "Counted",
        time: "2026-11-23T10:17:00.000000Z", data: { n, text: "grüße 🛫" }, metadata: {}, tags: [],
      });
    }
    for (const wake of this.#wake) wake();
  }

  get head(): string {
    return cursorAt(this.log.length);
  }

  /** The position after which a request resumes. */
  #from(after: string | null): number {
    this.afters.push(after ?? "start");
    if (!after || after === "start") return 0;
    if (after === "now") return this.log.length;
    if (after.startsWith("last:")) return Math.max(0, this.log.length - Number(after.slice(5)));
    return Math.max(0, Number.parseInt(after.slice(0, 16), 16) - this.rewind);
  }

  #note(request: IncomingMessage): void {
    this.requests.push(request.url ?? "");
    this.heads.push(request.headers as Record<string, string>);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#note(request);
    const refused = this.refuse(request);
    if (refused) {
      response.writeHead(refused.status, refused.headers);
      return void response.end(refused.body);
    }
    const url = new URL(request.url ?? "", this.origin);
    if (request.method === "POST") return this.#post(request, response);
    if (url.pathname.startsWith("/live/")) return this.#live(url, request, response);
    const from = this.#from(url.searchParams.get("after"));
    if (request.headers.accept?.includes("text/event-stream")) this.#stream(response, from);
    else this.#page(response, from, Number(url.searchParams.get("wait") ?? 0));
  }

  #post(request: IncomingMessage, response: ServerResponse): void {
    let text = "";
    request.on("data", (part: Buffer) => (text += part.toString()));
    request.on("end", () => {
      const { status, headers, body } = this.onPost(JSON.parse(text), request);
      response.writeHead(status, headers);
      response.end(body);
    });
  }

  #live(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const after = url.searchParams.get("after");
    if (request.headers.accept?.includes("text/event-stream")) {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      const send = (frame: { frame: string }) => response.write(`event: feed.${frame.frame}\ndata: ${JSON.stringify(frame)}\n\n`);
      return void response.on("close", this.#watch(after, send));
    }
    const answer = () => {
      clearTimeout(timer);
      leave();
      const frame = this.board.frameAfter(after);
      this.sent.push(frame.frame);
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ ...frame, key: "flight" }));
    };
    const waits = after !== null && after === this.board.token && url.searchParams.has("wait");
    const leave = waits ? this.board.watch(answer) : () => {};
    const timer = setTimeout(answer, waits ? Number(url.searchParams.get("wait")) * 1000 : 0);
    response.on("close", () => {
      clearTimeout(timer);
      leave();
    });
  }

  /** Sends what changes; returns how to end it. */
  #watch(after: string | null | undefined, send: (frame: { frame: string }) => void): () => void {
    this.open++;
    let token = after;
    send({ frame: "ready", key: "flight", heartbeat_ms: this.heartbeat } as { frame: string });
    const more = () => {
      const frame = this.board.frameAfter(token);
      token = this.board.token;
      this.sent.push(frame.frame);
      send(frame);
    };
    more();
    const leave = this.board.watch(more);
    let isOpen = true;
    return () => {
      if (isOpen) this.open--;
      isOpen = false;
      leave();
    };
  }

  #stream(response: ServerResponse, from: number): void {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    this.#serve(from, (frame, cursor) => {
      const id = cursor ? `id: ${cursor}\n` : "";
      const { frame: name } = frame as { frame?: string };
      response.write(`${name === "ready" ? "retry: 1\n" : ""}${id}${name ? `event: feed.${name}\n` : ""}data: ${JSON.stringify(frame)}\n\n`);
    }, (end) => response.on("close", end));
  }

  #page(response: ServerResponse, from: number, wait: number): void {
    const answer = () => {
      clearTimeout(timer);
      this.#wake.delete(answer);
      const events = this.log.slice(from, from + 1000);
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ events, cursor: cursorAt(from + events.length), head: this.head, more: from + events.length < this.log.length }));
    };
    const timer = setTimeout(answer, wait * 1000);
    if (wait === 0 || from < this.log.length) return answer();
    this.#wake.add(answer);
    response.on("close", () => {
      clearTimeout(timer);
      this.#wake.delete(answer);
    });
  }

  #socket(socket: WebSocket): void {
    const subs = new Map<string, () => void>();
    socket.on("message", (text) => {
      const command = JSON.parse(String(text)) as { frame: string; sub: string; after?: string };
      if (command.frame === "unsubscribe") subs.get(command.sub)?.();
      if (command.frame === "watch") {
        const end = this.#watch(command.after, (frame) => socket.send(JSON.stringify({ sub: command.sub, ...frame })));
        subs.set(command.sub, end);
        return void socket.on("close", end);
      }
      if (command.frame !== "subscribe" || this.onSubscribe?.(socket, command)) return;
      const send = (frame: object) => socket.send(JSON.stringify("frame" in frame ? { sub: command.sub, ...frame } : { frame: "events", sub: command.sub, events: [frame] }));
      this.#serve(this.#from(command.after ?? null), send, (end) => {
        subs.set(command.sub, end);
        socket.on("close", end);
      });
    });
  }

  /** Sends what is there, and then what comes. */
  #serve(from: number, send: (frame: object, cursor?: string) => void, onClose: (end: () => void) => void): void {
    this.open++;
    let at = from;
    send({ frame: "ready", cursor: cursorAt(at), head: this.head, heartbeat_ms: this.heartbeat }, cursorAt(at));
    const more = () => {
      for (const event of this.log.slice(at)) send(event, event.cursor);
      at = this.log.length;
    };
    more();
    send({ frame: "live", cursor: this.head, head: this.head }, this.head);
    this.#wake.add(more);
    let isOpen = true;
    onClose(() => {
      if (isOpen) this.open--;
      isOpen = false;
      this.#wake.delete(more);
    });
  }
}

export const problem = (status: number, code: string, more: object = {}) => ({
  status,
  headers: { "Content-Type": "application/problem+json" },
  body: JSON.stringify({ type: `urn:downlink:problem:${code}`, title: code, status, detail: "do this", code, retryable: status >= 500, ...more }),
});

/** A proxy that cuts the first connections after so many bytes of what the server sends. */
export async function cutter(origin: string, lengths: number[]): Promise<{ origin: string; left: () => number }> {
  const far = Number(new URL(origin).port);
  const sockets = new Set<Socket>();
  const server = createTcpServer((near) => {
    const upstream = connect(far, "127.0.0.1");
    let left = lengths.shift() ?? Infinity;
    for (const [one, other] of [[near, upstream], [upstream, near]] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroySoon();
      });
    }
    near.pipe(upstream);
    upstream.on("data", (bytes: Buffer) => {
      if (bytes.length < left) {
        left -= bytes.length;
        near.write(bytes);
      } else if (left > 0) {
        near.write(bytes.subarray(0, left), () => near.destroySoon());
        left = 0;
        upstream.destroy();
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { origin: `http://127.0.0.1:${(server.address() as { port: number }).port}`, left: () => lengths.length };
}
