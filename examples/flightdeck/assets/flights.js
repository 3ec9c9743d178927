// The flights as their events tell them: the same fold as on the server, for the board.

const NEW_YEAR = Date.UTC(2013, 0, 1);

/** Minutes since midnight of 1 January from a time such as 2013-01-01T05:15. */
export function minutes(time) {
  return (Date.parse(`${time}Z`) - NEW_YEAR) / 60_000;
}

/** Hour and minute alone. */
export const short = (time) => time.slice(11, 16);

/** A number of minutes since midnight as hour and minute. */
export function hhmm(minute) {
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  return `${two((minute / 60) % 24)}:${two(minute % 60)}`;
}

const evolve = {
  BoardingStarted: () => ({ status: 'boarding' }),
  FlightDelayed: ({ departs }) => ({ status: 'delayed', departs }),
  GateChanged: ({ gate }) => ({ gate }),
  FlightDeparted: ({ at }) => ({ status: 'departed', departs: at }),
  FlightLanded: ({ at }) => ({ status: 'landed', landed: at }),
  FlightCancelled: () => ({ status: 'cancelled' }),
  FlightDiverted: () => ({ status: 'diverted' }),
};

/** How many departed flights the board shows. */
const SEEN_LEAVING = 4;

/** How each view picks its flights and what it sorts them by. */
const views = {
  board: { has: onTheBoard, by: (flight) => minutes(flight.departs) },
  boarding: { has: (flight) => flight.status === 'boarding', by: (flight) => minutes(flight.departs) },
  delayed: { has: (flight) => flight.status === 'delayed', by: (flight) => minutes(flight.departs) },
  air: { has: (flight) => flight.status === 'departed', by: (flight) => -minutes(flight.departs) },
  landed: { has: (flight) => flight.status === 'landed', by: (flight) => -minutes(flight.landed) },
  diverted: { has: (flight) => flight.wasDiverted, by: (flight) => -minutes(flight.departs) },
  cancelled: { has: (flight) => flight.status === 'cancelled', by: (flight) => -minutes(flight.changed) },
};

// A departed flight stays for a moment, so that one sees it go; a cancelled one longer.
function onTheBoard(flight, clock) {
  const ago = clock - minutes(flight.changed);
  if (flight.status === 'departed') return ago < 5;
  if (flight.status === 'cancelled') return ago < 60;
  return ['scheduled', 'boarding', 'delayed'].includes(flight.status);
}

// In the rush the board is for those who still want to leave.
function withoutTheGone(flights) {
  const gone = flights.filter((flight) => flight.status === 'departed').slice(0, -SEEN_LEAVING);
  return flights.filter((flight) => !gone.includes(flight));
}

export class Flights {
  #flights = new Map();

  clear() {
    this.#flights.clear();
  }

  /** Takes the flights as the server has them: the same fold, of the events up to a cursor. */
  load(rows) {
    for (const row of rows) this.#flights.set(row.id, { ...row, history: [] });
  }

  /** All flights, for tests and the curious. */
  all() {
    return [...this.#flights.values()];
  }

  get(id) {
    return this.#flights.get(id);
  }

  apply({ stream, version, type, data }) {
    const id = stream.slice('flight-'.length);
    if (type === 'FlightScheduled') {
      this.#flights.set(id, {
        id, ...data, scheduled: data.departs, status: 'scheduled', landed: null, changed: data.at, wasDiverted: false,
        history: [],
      });
    }
    const flight = this.#flights.get(id);
    if (!flight) return;
    const change = evolve[type]?.(data);
    if (change) Object.assign(flight, change, { changed: data.at });
    if (type === 'FlightDiverted') flight.wasDiverted = true;
    flight.version = version;
    flight.history.push({ version, type, data });
  }

  /** The flights of a view, in its order. */
  view(name, clock) {
    const { has, by } = views[name];
    const flights = [...this.#flights.values()]
      .filter((flight) => has(flight, clock))
      .sort((a, b) => by(a) - by(b) || (a.id < b.id ? -1 : 1));
    return name === 'board' ? withoutTheGone(flights) : flights;
  }

  /** How many flights each view has. */
  counts(clock) {
    return Object.fromEntries(Object.keys(views).map((name) => [name, this.view(name, clock).length]));
  }
}
