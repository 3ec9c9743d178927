/** Who decided something: the airline in the records, or a visitor of the page. */
export type Party = "airline" | "visitor";

/** A time of the replay's clock, such as `2013-01-01T05:15`. */
export type ClockTime = string;

/** The events of a flight. */
export type FlightEvent =
  | {
      FlightScheduled: {
        at: ClockTime;
        flight: string;
        airline: string;
        from: string;
        to: string;
        city: string;
        aircraft?: string;
        gate: string;
        departs: ClockTime;
        arrives: ClockTime;
      };
    }
  | { BoardingStarted: { at: ClockTime } }
  | { FlightDelayed: { at: ClockTime; minutes: number; departs: ClockTime; reason?: string; by: Party } }
  | { GateChanged: { at: ClockTime; gate: string; before: string; by: Party } }
  | { FlightDeparted: { at: ClockTime } }
  | { FlightLanded: { at: ClockTime } }
  | { FlightCancelled: { at: ClockTime; reason?: string; by: Party } }
  | { FlightDiverted: { at: ClockTime } };

/** The events of the replay. */
export type ReplayEvent =
  | { ReplayStarted: { clock: ClockTime; speed: number; paused: boolean } }
  | { ReplayStopped: { clock: ClockTime } }
  | { ReplayPaused: { clock: ClockTime } }
  | { ReplayResumed: { clock: ClockTime } }
  | { ReplaySpeedChanged: { clock: ClockTime; speed: number } }
  | { ReplayFinished: { clock: ClockTime } };

export type FlightStatus = "scheduled" | "boarding" | "delayed" | "departed" | "landed" | "cancelled" | "diverted";

/** A row of the live query `board`. */
export interface FlightRow {
  id: string;
  version: number;
  airline: string;
  from: string;
  to: string;
  city: string;
  aircraft: string | null;
  gate: string;
  scheduled: ClockTime;
  arrives: ClockTime;
  departs: ClockTime;
  landed: ClockTime | null;
  status: FlightStatus;
  wasDiverted: boolean;
  changed: ClockTime;
}

/** A row of the live query `punctuality`. */
export interface PunctualityRow {
  airline: string;
  departed: number;
  onTime: number;
  minutesLate: number;
  cancelled: number;
  diverted: number;
}

/** A row of the live query `routes`. */
export interface RouteRow {
  id: string;
  from: string;
  to: string;
  city: string;
  departed: number;
}
