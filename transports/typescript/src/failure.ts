import type { Status } from "./types.js";

/** An error document of the feed. */
export interface Problem {
  readonly type: string;
  readonly code: string;
  readonly title?: string;
  readonly detail?: string;
  readonly status?: number;
  readonly retryable?: boolean;
  readonly [fact: string]: unknown;
}

/**
 * - `final`: the feed refuses, and does so again however often it is asked.
 * - `foreign`: what answered is not the feed, but a proxy or another program.
 * - `unreadable`: bytes that are not frames of a feed.
 * - `temporary`: the network failed, or the server cannot answer now.
 */
export type FailureKind = "final" | "foreign" | "unreadable" | "temporary";

interface Facts {
  readonly status?: number;
  readonly problem?: Problem | undefined;
  readonly retryAfter?: number | undefined;
  readonly exactly?: number | undefined;
  readonly fallback?: boolean;
  readonly cause?: unknown;
}

/** Why a feed ended, or a command was refused. */
export class DownlinkError extends Error {
  override readonly name = "DownlinkError";
  /** The status of the answer, if there was one. */
  declare readonly status: number | undefined;
  declare readonly problem: Problem | undefined;
  /** How long the server asks all clients to wait, in milliseconds. */
  declare readonly retryAfter: number | undefined;
  /** @internal How long the server asks this client to wait. */
  declare readonly exactly: number | undefined;
  /** @internal Whether another transport may work. */
  declare readonly fallback: boolean | undefined;

  constructor(
    readonly kind: FailureKind,
    /** The code of the feed's problem document, or `unreachable`, `not-a-feed`, `unreadable`, `handler-failed`. */
    readonly code: string,
    message: string,
    facts?: Facts,
  ) {
    super(message);
    Object.assign(this, facts);
  }
}

export const unreadable = (message: string, cause?: unknown): DownlinkError =>
  new DownlinkError("unreadable", "unreadable", message, { cause });

export const temporary = (message: string, facts?: Facts): DownlinkError => new DownlinkError("temporary", "unreachable", message, facts);

export const toFailure = (cause: unknown): DownlinkError =>
  cause instanceof DownlinkError ? cause : temporary(String(cause), { cause });

/** Calls the application's own code. If that throws, what it was given is not handled. */
export async function handled<T>(call: () => T): Promise<Awaited<T>> {
  try {
    return await call();
  } catch (cause) {
    throw new DownlinkError("final", "handler-failed", `the handler failed: ${String(cause)}`, { cause });
  }
}

/** The last status. */
export const closed = (error?: DownlinkError): Status => ({ state: "closed", ended: true, ...(error && { reason: error.message, error }) });

export const isUnauthenticated = ({ status, code }: DownlinkError): boolean => status === 401 || code === "unauthenticated";

/** The failure of a problem document. */
export function fromProblem(problem: Problem, facts?: Facts, kind?: FailureKind): DownlinkError {
  const { code, detail, title, retryable } = problem;
  kind ??= retryable || code === "internal" || code === "corrupt" ? "temporary" : "final";
  return new DownlinkError(kind, code, `${detail || title} (${code})`, { ...facts, problem });
}

/**
 * The failure of an answer other than the expected one. To a feed, only its own problem documents are final; the
 * refusal of a command may be the application's.
 */
export async function fromAnswer(answer: Response, isCommand: boolean): Promise<DownlinkError> {
  const { status, headers, url } = answer;
  const type = headers.get("content-type") ?? "";
  const hasProblem = status >= 400 && type.startsWith("application/problem+json");
  const document = hasProblem ? ((await answer.json().catch(() => {})) as Problem | undefined) : undefined;
  const problem = document?.code && (isCommand || document.type === `urn:downlink:problem:${document.code}`) ? document : undefined;
  const isTemporary = /^(5..|408|425|429)$/.test(`${status}`);
  const facts: Facts = {
    status,
    retryAfter: parseFloat(headers.get("retry-after")!) * 1000 || undefined,
    fallback: !problem || /404|405|426/.test(`${status}`),
  };
  if (problem) return fromProblem(problem, facts, isTemporary ? "temporary" : undefined);
  const message = `not the answer of a feed (${status} ${type}): check the URL ${url}`;
  return isTemporary ? temporary(message, facts) : new DownlinkError("foreign", "not-a-feed", message, facts);
}
