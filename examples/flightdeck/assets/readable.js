// Checks which events this page can show. Other programs may have appended anything to the log:
// foreign events are skipped.

const text = (value) => typeof value === 'string';
const number = (value) => typeof value === 'number';
const time = (value) => text(value) && /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value);

// The fields that the page uses, for each type.
const at = { at: time };
const clock = { clock: time };
const fields = {
  FlightScheduled: { at: time, airline: text, from: text, to: text, city: text, gate: text, departs: time, arrives: time },
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

/** Whether this page can show the event. Logs a warning if not. */
export function isReadable(envelope) {
  const { type, data } = envelope;
  // Flights before version 2 have no gate of their own.
  const members = Object.hasOwn(fields, type) ? Object.entries(fields[type]) : null;
  const fits = ([name, is]) => is(data?.[name]) || (name === 'gate' && type === 'FlightScheduled' && data?.gate === undefined);
  if (members?.every(fits)) return true;
  console.warn('skipping an event', envelope);
  return false;
}
