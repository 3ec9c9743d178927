// Generated from Rust types by a test: change those, and run `GENERATE=1 cargo test types`.

/**
 * The body of a cancellation.
 */
export type Cancel = { reason?: string, };

/**
 * The body of a change of gate.
 */
export type ChangeGate = { gate: Gate, };

/**
 * A minute in New York's local time, counted from midnight of 1 January 2013.
 *
 * Formatted and parsed as `2013-01-01T05:15`, without a time zone. The last value is
 * the last minute of January 2014; later times are clamped to it.
 */
export type ClockTime = string;

/**
 * The body of a delay.
 */
export type Delay = { minutes: number, reason?: string, };

/**
 * The events of a flight.
 *
 * The variants' names are the event types, their fields the payload.
 */
export type FlightEvent = { "FlightScheduled": {
/**
 * When, by the replay's clock, as in all events.
 */
at: ClockTime,
/**
 * The name of the flight.
 */
flight: FlightId,
/**
 * The carrier's two letters, `UA`.
 */
airline: string,
/**
 * The origin: `EWR`, `JFK` or `LGA`.
 */
from: string,
/**
 * The destination, `IAH`.
 */
to: string,
/**
 * The destination's name on the board, `Houston IAH`.
 */
city: string,
/**
 * The aircraft's registration, if recorded.
 */
aircraft?: string,
/**
 * The initial gate.
 */
gate: Gate,
/**
 * The scheduled departure.
 */
departs: ClockTime,
/**
 * The scheduled arrival, in New York's local time.
 */
arrives: ClockTime, } } | { "BoardingStarted": {
/**
 * When.
 */
at: ClockTime, } } | { "FlightDelayed": {
/**
 * When this was announced.
 */
at: ClockTime,
/**
 * The additional delay.
 */
minutes: number,
/**
 * The new time of departure.
 */
departs: ClockTime,
/**
 * The reason, if given.
 */
reason?: string,
/**
 * Who decided it.
 */
by: Party, } } | { "GateChanged": {
/**
 * When this was announced.
 */
at: ClockTime,
/**
 * The new gate.
 */
gate: Gate,
/**
 * The previous gate.
 */
before: Gate,
/**
 * Who decided it.
 */
by: Party, } } | { "FlightDeparted": {
/**
 * When.
 */
at: ClockTime, } } | { "FlightLanded": {
/**
 * When.
 */
at: ClockTime, } } | { "FlightCancelled": {
/**
 * When this was announced.
 */
at: ClockTime,
/**
 * The reason, if given.
 */
reason?: string,
/**
 * Who decided it.
 */
by: Party, } } | { "FlightDiverted": {
/**
 * When.
 */
at: ClockTime, } };

/**
 * The name of a flight: `UA1545` on 1 January, and `UA1545-0102` on the 2nd.
 *
 * The name contains month and day on all days except the replayed one, since a number
 * is used every day. If a carrier uses a number twice a day, the second flight is
 * `UA1545-2` or `UA1545-0102-2`, so that every flight has its own stream.
 */
export type FlightId = string;

/**
 * A row of the query `board`.
 */
export type FlightRow = { id: FlightId,
/**
 * The version of the flight's stream.
 */
version: number, airline: string, from: string, to: string,
/**
 * The destination's name on the board.
 */
city: string,
/**
 * The aircraft's registration, if recorded.
 */
aircraft: string | null, gate: Gate, scheduled: ClockTime, arrives: ClockTime,
/**
 * When it is expected to depart, or has departed.
 */
departs: ClockTime, landed: ClockTime | null, status: FlightStatus, wasDiverted: boolean,
/**
 * The time of the last event.
 */
changed: ClockTime, };

export type FlightStatus = "scheduled" | "boarding" | "delayed" | "departed" | "diverted" | "landed" | "cancelled";

/**
 * A gate: the letter of a pier and a number, such as `C71`.
 *
 * Gates are not in the records, so they are [assigned](Self::assigned) by a rule.
 */
export type Gate = string;

/**
 * Who decided something: the airline in the records, or a visitor of the page.
 */
export type Party = "airline" | "visitor";

/**
 * A row of the query `punctuality`.
 */
export type PunctualityRow = { airline: string, departed: number,
/**
 * Those that departed less than fifteen minutes late.
 */
onTime: number,
/**
 * The sum over all departures.
 */
minutesLate: number, cancelled: number, diverted: number, };

/**
 * The changes that a visitor requests; `None` leaves a setting unchanged.
 */
export type ReplayControl = {
/**
 * Whether to pause.
 */
paused?: boolean,
/**
 * The speed.
 */
speed?: Speed, };

/**
 * The events of the replay, in the stream `replay`.
 *
 * Pages follow it like the flights, so all pages show the same clock without polling.
 */
export type ReplayEvent = { "ReplayStarted": {
/**
 * The time of the clock.
 */
clock: ClockTime,
/**
 * The speed.
 */
speed: Speed,
/**
 * Whether it is paused.
 */
paused: boolean, } } | { "ReplayStopped": {
/**
 * The time of the clock.
 */
clock: ClockTime, } } | { "ReplayPaused": {
/**
 * The time of the clock.
 */
clock: ClockTime, } } | { "ReplayResumed": {
/**
 * The time of the clock.
 */
clock: ClockTime, } } | { "ReplaySpeedChanged": {
/**
 * The time of the clock.
 */
clock: ClockTime,
/**
 * The new speed.
 */
speed: Speed, } } | { "ReplayFinished": {
/**
 * The time of the clock.
 */
clock: ClockTime, } };

/**
 * The state of the replay, as `GET /replay` returns it.
 */
export type ReplayStatus = {
/**
 * Whether a program runs it.
 */
running: boolean,
/**
 * Whether it is paused.
 */
paused: boolean,
/**
 * The speed.
 */
speed: Speed,
/**
 * The time of the clock.
 */
clock: ClockTime,
/**
 * Whether the last flight has landed.
 */
finished: boolean, };

/**
 * A row of the query `routes`.
 */
export type RouteRow = {
/**
 * Origin and destination, `EWR-IAH`.
 */
id: string, from: string, to: string,
/**
 * The destination's name on the board.
 */
city: string, departed: number, };

/**
 * The speed of the replay: 60 is a minute of the day per second.
 *
 * Between 1, real time, and 3600, an hour per second.
 */
export type Speed = number;
