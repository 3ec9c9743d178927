import type { Envelope, Events } from "downlink";

import { short } from "./time";
import type { FlightEvent, Party, ReplayEvent } from "../types.gen";

/** An event that this page can show. */
export type DeckEvent = Events<FlightEvent | ReplayEvent>;
type Type = DeckEvent["type"];
type Data<T extends Type> = Extract<DeckEvent, { type: T }>["data"];

type Check = (value: unknown) => boolean;
const text: Check = (value) => typeof value === "string";
const number: Check = (value) => typeof value === "number";
const time: Check = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value);

const at = { at: time };
const clock = { clock: time };

/** The members that the page uses. */
const MEMBERS: Readonly<Record<Type, Readonly<Record<string, Check>>>> = {
  FlightScheduled: { at: time, airline: text, from: text, to: text, city: text, departs: time, arrives: time },
  BoardingStarted: at,
  FlightDelayed: { at: time, minutes: number, departs: time },
  GateChanged: { at: time, gate: text },
  FlightDeparted: at,
  FlightLanded: at,
  FlightCancelled: at,
  FlightDiverted: at,
  ReplayStarted: { clock: time, speed: number },
  ReplayStopped: clock,
  ReplayPaused: clock,
  ReplayResumed: clock,
  ReplaySpeedChanged: { clock: time, speed: number },
  ReplayFinished: clock,
};

/** Whether the page can show it. Other programs may have appended anything to the log: that is skipped. */
export function isReadable(event: Envelope): event is DeckEvent {
  const { type, data } = event;
  if (!Object.hasOwn(MEMBERS, type)) return false;
  const members = Object.entries(MEMBERS[type as Type]);
  return typeof data === "object" && data !== null && members.every(([name, fits]) => fits((data as Record<string, unknown>)[name]));
}

/** When it happened, by the replay's clock. */
export const happened = ({ data }: DeckEvent): string => ("at" in data ? data.at : data.clock);

const because = ({ by, reason }: { by: Party; reason?: string }): string =>
  `${by === "visitor" ? ", by a visitor" : ""}${reason ? `: ${reason}` : ""}`;

const SUMMARIES: { [T in Type]: (data: Data<T>) => string } = {
  FlightScheduled: ({ from, city, departs }) => `${from} to ${city} at ${short(departs)}`,
  BoardingStarted: () => "boarding",
  FlightDelayed: (data) => `${data.minutes} min later, ${short(data.departs)}${because(data)}`,
  GateChanged: (data) => `now at gate ${data.gate}${because(data)}`,
  FlightDeparted: () => "in the air",
  FlightLanded: () => "landed",
  FlightCancelled: (data) => `cancelled${because(data)}`,
  FlightDiverted: () => "diverted",
  ReplayStarted: ({ speed, paused }) => `started at ${speed}×${paused ? ", paused" : ""}`,
  ReplayStopped: () => "stopped",
  ReplayPaused: () => "paused",
  ReplayResumed: () => "resumed",
  ReplaySpeedChanged: ({ speed }) => `now at ${speed}×`,
  ReplayFinished: () => "finished",
};

/** The event in a few words. */
export const summary = (event: DeckEvent): string => (SUMMARIES[event.type] as (data: unknown) => string)(event.data);

const TITLES: Partial<Record<Type, string>> = { BoardingStarted: "Boarding", GateChanged: "Gate" };

/** The type in one word. */
export const title = ({ type }: DeckEvent): string => TITLES[type] ?? type.replace(/^(Flight|Replay)/, "");

/** The types that the event log can be limited to. */
export const TYPES = (Object.keys(MEMBERS) as Type[]).filter((type) => !type.startsWith("Replay"));
