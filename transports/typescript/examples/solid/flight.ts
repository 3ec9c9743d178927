// ANCHOR: types
/** As Rust exports it: an enum whose variants carry their payload. */
export type FlightEvent =
  | { FlightDeparted: { gate: string } }
  | { FlightDelayed: { minutes: number } }
  | "FlightLanded";

export interface FlightRow {
  flight: string;
  gate: string;
  minutes: number;
}
// ANCHOR_END: types
