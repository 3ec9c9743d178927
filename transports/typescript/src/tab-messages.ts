import type { Frame, Spec } from "./source.js";
import type { Status } from "./types.js";

export interface Want {
  readonly spec: Spec;
  readonly at: string;
}

/** What came from the server after `prev`. */
export interface Run {
  readonly run: string;
  readonly prev: string;
  readonly at: string;
  readonly frames: readonly Frame[];
}

/** The state of the leader's connection, and how far it is. */
export interface Is {
  readonly is: string;
  readonly at: string;
  readonly status: Status;
}

export type Message =
  | Run
  | Is
  /** What a tab follows; also asks whether there is a leader. */
  | { readonly want: readonly Want[] }
  /** There is a leader; `isNew` asks the tabs what they want. */
  | { readonly isNew: boolean };

export const keyOf = (spec: Spec): string => JSON.stringify(spec);
/** What has to be equal for a change of rows to fit; feeds have only cursors. */
export const hash = (at: string): string | undefined => at.split("~")[1];
/** The newest place that these frames lead to. */
export const end = (frames: readonly Frame[], at: string): string =>
  frames.reduce((at, { token, cursor, events }) => (token as string | undefined) ?? cursor ?? events?.at(-1)?.cursor ?? at, at);
/** Whether all before this is known to a tab that is there. */
export const covers = (at: string, prev: string): boolean => (hash(prev) ? hash(at) === hash(prev) : at.slice(0, 16) >= prev.slice(0, 16));
