import { minutes, short } from "./time";
import type { FlightRow, FlightStatus } from "../types.gen";

/** The number of departed flights on the board. */
const MAX_DEPARTED = 4;

export const STATUS: Readonly<Record<FlightStatus, string>> = {
  scheduled: "On time",
  boarding: "Boarding",
  delayed: "Delayed",
  departed: "Departed",
  landed: "Landed",
  cancelled: "Cancelled",
  diverted: "Diverted",
};

interface Definition {
  name: string;
  empty: string;
  has: (flight: FlightRow, clock: number) => boolean;
  by: (flight: FlightRow) => number;
}

const withStatus = (status: FlightStatus) => (flight: FlightRow) => flight.status === status;
const byDeparture = (flight: FlightRow) => minutes(flight.departs);
const newestFirst = (time: (flight: FlightRow) => string) => (flight: FlightRow) => -minutes(time(flight));

/** What the board can show. */
export const VIEWS = {
  board: { name: "Departures", empty: "No departures", has: isOnTheBoard, by: byDeparture },
  boarding: { name: "Boarding", empty: "None boarding", has: withStatus("boarding"), by: byDeparture },
  delayed: { name: "Delayed", empty: "No delays", has: withStatus("delayed"), by: byDeparture },
  air: { name: "In the air", empty: "None in the air", has: withStatus("departed"), by: newestFirst((flight) => flight.departs) },
  landed: { name: "Landed", empty: "None landed yet", has: withStatus("landed"), by: newestFirst((flight) => flight.landed ?? "") },
  diverted: { name: "Diverted", empty: "None diverted", has: (flight) => flight.wasDiverted, by: newestFirst((flight) => flight.departs) },
  cancelled: { name: "Cancelled", empty: "None cancelled", has: withStatus("cancelled"), by: newestFirst((flight) => flight.changed) },
} satisfies Record<string, Definition>;

export type View = keyof typeof VIEWS;
export const VIEW_NAMES = Object.keys(VIEWS) as View[];

/** A departed flight stays on the board for five minutes, a cancelled one for an hour. */
function isOnTheBoard({ status, changed }: FlightRow, clock: number): boolean {
  if (status === "departed") return clock - minutes(changed) < 5;
  if (status === "cancelled") return clock - minutes(changed) < 60;
  return status === "scheduled" || status === "boarding" || status === "delayed";
}

function limitDeparted(flights: FlightRow[]): FlightRow[] {
  const hidden = new Set(flights.filter(withStatus("departed")).slice(0, -MAX_DEPARTED));
  return flights.filter((flight) => !hidden.has(flight));
}

/** The flights of a view, sorted. */
export function inView(view: View, flights: readonly FlightRow[], clock: number): FlightRow[] {
  const { has, by }: Definition = VIEWS[view];
  const shown = flights.filter((flight) => has(flight, clock)).sort((a, b) => by(a) - by(b) || (a.id < b.id ? -1 : 1));
  return view === "board" ? limitDeparted(shown) : shown;
}

/** The second time on the board: the landing, or the departure if it is not the scheduled one. */
export function expected({ status, landed, departs, scheduled }: FlightRow): string {
  if (status === "cancelled") return "";
  if (landed) return short(landed);
  return departs === scheduled && status !== "departed" ? "" : short(departs);
}

/** A flight in words, for a screen reader. */
export function inWords(flight: FlightRow): string {
  const { id, from, city, scheduled, status, gate } = flight;
  const later = expected(flight);
  return `${id} from ${from} to ${city}, ${short(scheduled)}, ${STATUS[status]}${later && ` ${later}`}${gate && `, gate ${gate}`}`;
}

/** Whether commands are still possible. */
export const isOnTheGround = ({ status }: FlightRow): boolean => status === "scheduled" || status === "boarding" || status === "delayed";
