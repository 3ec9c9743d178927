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

/** The application's handler threw: what it was given is not handled. */
export const handlerFailed = (cause: unknown): DownlinkError =>
  new DownlinkError("final", "handler-failed", `the handler failed: ${String(cause)}`, { cause });

export const isUnauthenticated = ({ status, code }: DownlinkError): boolean => status === 401 || code === "unauthenticated";

/** The failure of a problem frame. */
export function fromProblem(problem: Problem): DownlinkError {
  const { code, detail, title, retryable } = problem;
  const kind = retryable || code === "internal" || code === "corrupt" ? "temporary" : "final";
  return new DownlinkError(kind, code, `${detail || title} (${code})`, { problem });
}

/** The failure of an answer other than the expected one. Only the feed's own problem documents are final. */
export async function fromAnswer(answer: Response): Promise<DownlinkError> {
  const { status, headers } = answer;
  const type = headers.get("content-type") ?? "";
  const problem = status >= 400 && /^application\/problem\+json *(;|$)/i.test(type) ? await readProblem(answer) : undefined;
  if (!problem) void answer.body?.cancel().catch(() => {});
  const isTemporary = /^(5..|408|425|429)$/.test(`${status}`);
  const seconds = Number(headers.get("retry-after") || NaN);
  const facts: Facts = {
    status,
    problem,
    ...(seconds >= 0 && { retryAfter: seconds * 1000 }),
    fallback: !problem || /404|405|426/.test(`${status}`),
  };
  const kind = isTemporary ? "temporary" : problem ? "final" : "foreign";
  const message = problem ? fromProblem(problem).message : `this is not the answer of a feed (${status} ${type}): check the URL ${answer.url}`;
  return new DownlinkError(kind, problem?.code ?? (isTemporary ? "unreachable" : "not-a-feed"), message, facts);
}

async function readProblem(answer: Response): Promise<Problem | undefined> {
  const problem = (await answer.json().catch(() => undefined)) as Problem | undefined;
  return problem?.code && problem.type === `urn:downlink:problem:${problem.code}` ? problem : undefined;
}
