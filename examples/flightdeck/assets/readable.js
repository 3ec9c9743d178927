// Which events this page can show. Anybody who can write to the log may have put anything into
// it: what is not FlightDeck's is passed over, and costs nothing of what follows.

const text = (value) => typeof value === 'string';
const number = (value) => typeof value === 'number';
const time = (value) => text(value) && /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value);

// What the page takes from each type.
const at = { at: time };
const clock = { clock: time };
const takes = {
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

/** Whether this page can show the event; says so if not. */
export function isReadable(envelope) {
  const { type, data } = envelope;
  // Flights before version 2 have no gate of their own.
  const members = Object.hasOwn(takes, type) ? Object.entries(takes[type]) : null;
  const fits = ([name, is]) => is(data?.[name]) || (name === 'gate' && type === 'FlightScheduled' && data?.gate === undefined);
  if (members?.every(fits)) return true;
  console.warn('an event is passed over', envelope);
  return false;
}
