// The flights, folded from their events as on the server.

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

/** The number of departed flights on the board. */
const MAX_DEPARTED = 4;

/** The filter and the sort key of each view. */
const views = {
  board: { has: onTheBoard, by: (flight) => minutes(flight.departs) },
  boarding: { has: (flight) => flight.status === 'boarding', by: (flight) => minutes(flight.departs) },
  delayed: { has: (flight) => flight.status === 'delayed', by: (flight) => minutes(flight.departs) },
  air: { has: (flight) => flight.status === 'departed', by: (flight) => -minutes(flight.departs) },
  landed: { has: (flight) => flight.status === 'landed', by: (flight) => -minutes(flight.landed) },
  diverted: { has: (flight) => flight.wasDiverted, by: (flight) => -minutes(flight.departs) },
  cancelled: { has: (flight) => flight.status === 'cancelled', by: (flight) => -minutes(flight.changed) },
};

// A departed flight stays on the board for five minutes, a cancelled one for an hour.
function onTheBoard(flight, clock) {
  const ago = clock - minutes(flight.changed);
  if (flight.status === 'departed') return ago < 5;
  if (flight.status === 'cancelled') return ago < 60;
  return ['scheduled', 'boarding', 'delayed'].includes(flight.status);
}

// Limits the number of departed flights.
function limitDeparted(flights) {
  const hidden = flights.filter((flight) => flight.status === 'departed').slice(0, -MAX_DEPARTED);
  return flights.filter((flight) => !hidden.includes(flight));
}

export class Flights {
  #flights = new Map();

  clear() {
    this.#flights.clear();
  }

  /** Sets the flights to rows of the server's board. */
  load(rows) {
    for (const row of rows) this.#flights.set(row.id, { ...row, history: [] });
  }

  /** All flights, for tests. */
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

  /** The flights of a view, sorted. */
  view(name, clock) {
    const { has, by } = views[name];
    const flights = [...this.#flights.values()]
      .filter((flight) => has(flight, clock))
      .sort((a, b) => by(a) - by(b) || (a.id < b.id ? -1 : 1));
    return name === 'board' ? limitDeparted(flights) : flights;
  }

  /** The number of flights in each view. */
  counts(clock) {
    return Object.fromEntries(Object.keys(views).map((name) => [name, this.view(name, clock).length]));
  }
}
