import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { onTestFinished } from "vitest";

interface Kind {
  binary: string;
  /** The path under which its feed is. */
  base: string;
  args: (database: string) => string[];
}

const binary = (name: string): string => process.env[`DOWNLINK_${name.toUpperCase()}`] ?? fileURLToPath(new URL(`../../../../target/debug/${name}`, import.meta.url));

/** An empty log, to which tests append. */
export const SERVER: Kind = { binary: binary("server"), base: "", args: (database) => ["--store", `rusqlite:${database}`, "--allow-append"] };
/** A day of departures, replayed, with live queries and commands. */
export const FLIGHTDECK: Kind = { binary: binary("flightdeck"), base: "/api", args: (database) => ["--db", database, "--speed", "600"] };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until the condition returns something truthy, and returns that. */
export async function until<T>(what: string, condition: () => T | Promise<T>, milliseconds = Number(process.env["DEADLINE"] ?? 45_000)): Promise<T & {}> {
  const end = performance.now() + milliseconds;
  for (;;) {
    const met = await condition();
    if (met) return met as T & {};
    if (performance.now() > end) throw new Error(`waited ${milliseconds / 1000} s, and this did not happen: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

/** An example program with a database of its own, at one address, so that it can be killed and started again. */
export class Program {
  #child: ChildProcess | undefined;
  #errors = "";
  readonly #folder = mkdtempSync(join(tmpdir(), "downlink-js-"));

  private constructor(
    readonly port: number,
    readonly kind: Kind,
  ) {}

  static async start(kind = SERVER): Promise<Program> {
    const program = new Program(await freePort(), kind);
    onTestFinished(async () => {
      await program.kill();
      rmSync(program.#folder, { recursive: true, force: true });
    });
    await program.start();
    return program;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}${this.kind.base}`;
  }

  async start(): Promise<void> {
    const { binary, args } = this.kind;
    const all = ["--listen", `127.0.0.1:${this.port}`, ...args(join(this.#folder, "log.db"))];
    const child = spawn(binary, all, { stdio: ["ignore", "ignore", "pipe"] });
    child.once("error", (error) => {
      this.#errors += `${error}: build it with 'cargo build --bins', or name another with DOWNLINK_SERVER or DOWNLINK_FLIGHTDECK\n`;
    });
    child.stderr?.on("data", (text: Buffer) => {
      this.#errors += text.toString();
    });
    this.#child = child;
    await until(`${binary} answers`, async () => {
      if (child.exitCode !== null || child.pid === undefined) throw new Error(`${binary} ended: ${this.#errors}`);
      return fetch(`${this.origin}/feed?limit=1`).then(({ ok }) => ok, () => false);
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** Replaces the log by an empty one. */
  async replaceLog(): Promise<void> {
    await this.kill();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(this.#folder, `log.db${suffix}`), { force: true });
    await this.start();
  }

  /** Appends events numbered from one number to another. */
  async append(from: number, to: number, stream = "numbers"): Promise<void> {
    if (to - from >= 1000) {
      await this.append(from, from + 999, stream);
      return this.append(from + 1000, to, stream);
    }
    const events = Array.from({ length: to - from + 1 }, (_, index) => ({ type: "Counted", data: { n: from + index }, tags: ["number"] }));
    const answer = await fetch(`${this.origin}/streams/${stream}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(events),
    });
    if (!answer.ok) throw new Error(`append: ${answer.status} ${await answer.text()}`);
  }
}
