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
  status?: number;
  problem?: Problem;
  /** Milliseconds. */
  retryAfter?: number | undefined;
  /** Whether another transport may work. */
  fallback?: boolean;
  cause?: unknown;
}

/** Why a feed ended, or a command was refused. */
export class DownlinkError extends Error {
  override readonly name = "DownlinkError";
  readonly kind: FailureKind;
  /** The code of the feed's problem document, or `unreachable`, `not-a-feed`, `unreadable`. */
  readonly code: string;
  readonly status: number | undefined;
  readonly problem: Problem | undefined;
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** @internal */
  readonly fallback: boolean;

  constructor(kind: FailureKind, code: string, message: string, facts: Facts = {}) {
    super(message, { cause: facts.cause });
    this.kind = kind;
    this.code = code;
    this.status = facts.status;
    this.problem = facts.problem;
    this.retryAfter = facts.retryAfter;
    this.fallback = facts.fallback ?? false;
  }

  /** @internal */
  get unauthenticated(): boolean {
    return this.status === 401 || this.code === "unauthenticated";
  }
}

export const unreadable = (message: string, cause?: unknown): DownlinkError =>
  new DownlinkError("unreadable", "unreadable", message, { cause });

export const temporary = (message: string, facts?: Facts): DownlinkError =>
  new DownlinkError("temporary", "unreachable", message, facts);

export const toFailure = (error: unknown): DownlinkError =>
  error instanceof DownlinkError ? error : temporary(error instanceof Error ? error.message : String(error), { cause: error });

const TYPE = "urn:downlink:problem:";
/** Refusals of the client that a retry may change. */
const TEMPORARY = new Set([408, 425, 429]);

/** The failure of a problem frame. */
export function fromProblem(problem: Problem): DownlinkError {
  const { code, detail, title } = problem;
  const isTemporary = problem.retryable || code === "internal" || code === "corrupt";
  return new DownlinkError(isTemporary ? "temporary" : "final", code, `${detail || title || "refused"} (${code})`, { problem });
}

/** The failure of an answer other than the expected one. Only the feed's own problem documents are final. */
export async function fromAnswer(answer: Response): Promise<DownlinkError> {
  const { status, headers } = answer;
  const seconds = headers.get("retry-after");
  const retryAfter = seconds && /^\d+$/.test(seconds) ? Number(seconds) * 1000 : undefined;
  if (status < 400) {
    void answer.body?.cancel().catch(() => {});
    const message = `the answer (${status}, ${headers.get("content-type")}) is not what a feed sends: check the URL ${answer.url}`;
    return new DownlinkError("foreign", "not-a-feed", message, { status, fallback: true });
  }
  const problem = await readProblem(answer);
  const isTemporary = status >= 500 || TEMPORARY.has(status);
  const kind = isTemporary ? "temporary" : problem ? "final" : "foreign";
  const fallback = !problem || status === 404 || status === 405 || status === 426;
  const text = problem ? `${problem.detail || problem.title} (${problem.code})` : `the server answered ${status} without a problem document`;
  const facts: Facts = { status, retryAfter, fallback };
  if (problem) facts.problem = problem;
  return new DownlinkError(kind, problem?.code ?? (isTemporary ? "unreachable" : "not-a-feed"), text, facts);
}

async function readProblem(answer: Response): Promise<Problem | undefined> {
  if (!/^application\/problem\+json *(;|$)/i.test(answer.headers.get("content-type") ?? "")) {
    void answer.body?.cancel().catch(() => {});
    return undefined;
  }
  try {
    const problem = (await answer.json()) as Problem;
    return typeof problem.code === "string" && problem.type === TYPE + problem.code ? problem : undefined;
  } catch {
    return undefined;
  }
}
