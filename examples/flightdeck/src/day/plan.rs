use super::OPENING;
use super::airport::Airport;
use super::row::Row;
use crate::flight::ClockTime;
use crate::flight::{Action, FlightCommand, FlightId, Gate, Party, Timetable};

/// How long before departure a flight is put on the board.
const SCHEDULED_BEFORE: u32 = 120;
/// The board is empty at first, and gets this many flights per minute.
const FLIGHTS_PER_MINUTE: u32 = 4;
/// How long before the scheduled departure the first delay or a cancellation is announced.
const ANNOUNCED_BEFORE: u32 = 30;
/// How long before departure boarding starts.
const BOARDING_BEFORE: u32 = 30;
/// Boarding starts at most this long before the scheduled departure, even if a flight
/// departs early.
const EARLIEST_BOARDING: u32 = 60;
/// A shorter delay is not announced.
const MIN_ANNOUNCED_DELAY: u32 = 15;
/// The longest delay in one announcement; more is announced later.
const MAX_ANNOUNCED_DELAY: u32 = 60;
/// How long before the announced departure the next delay is announced.
const NEXT_ANNOUNCED_BEFORE: u32 = 20;
/// A flight with at least this delay changes its gate.
const GATE_CHANGE_DELAY: u32 = 60;
/// How long before the scheduled departure a change of gate is announced.
const GATE_ANNOUNCED_BEFORE: u32 = 20;

/// The commands of one flight in a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlightPlan {
    /// The flight.
    pub flight: FlightId,
    /// Its commands, ordered by time.
    pub commands: Vec<FlightCommand>,
}

impl FlightPlan {
    /// The plan that reproduces a recorded flight.
    ///
    /// The file has the times of departure and arrival. The times of announcements,
    /// boarding and diversion are not recorded, and follow the rules above. `before` is
    /// the number of flights that are scheduled before it.
    pub(super) fn of(row: &Row, flight: FlightId, to: &Airport, before: u32) -> Self {
        let mut plan = Self { flight, commands: Vec::new() };
        plan.schedule(row, to, before);
        match row.departed() {
            Some(departure) => plan.depart(row, departure, to),
            None => plan.push(row.scheduled().minus(ANNOUNCED_BEFORE), CANCEL),
        }
        plan
    }

    fn push(&mut self, at: ClockTime, action: Action) {
        // Never before the previous command.
        let earliest = self.commands.last().map_or(at, |command| command.at);
        self.commands.push(FlightCommand { at: at.max(earliest), action });
    }

    fn schedule(&mut self, row: &Row, to: &Airport, before: u32) {
        let timetable = Timetable {
            flight: self.flight.clone(),
            airline: row.carrier.clone(),
            from: row.origin.clone(),
            to: row.dest.clone(),
            city: to.city.clone(),
            aircraft: row.tailnum.clone(),
            gate: Gate::assigned(&row.origin, &row.carrier, self.flight.as_str()),
            departs: row.scheduled(),
            arrives: row.due(to),
        };
        let earliest = OPENING.on(row.date).plus(before / FLIGHTS_PER_MINUTE);
        self.push(
            row.scheduled().minus(SCHEDULED_BEFORE).max(earliest),
            Action::Schedule(timetable),
        );
    }

    fn depart(&mut self, row: &Row, departure: ClockTime, to: &Airport) {
        self.announce_delays(row, departure);
        let doors = row.scheduled().minus(EARLIEST_BOARDING);
        self.push(departure.minus(BOARDING_BEFORE).max(doors), Action::Board);
        self.push(departure, Action::Depart);
        let landing = row.landed(to);
        if row.diverted() {
            let due = row.due(to).max(departure.plus(1));
            self.push(landing.map_or(due, |landing| due.min(landing)), Action::Divert);
        }
        if let Some(landing) = landing {
            self.push(landing, Action::Land);
        }
    }

    fn announce_delays(&mut self, row: &Row, departure: ClockTime) {
        let scheduled = row.scheduled();
        let late = departure.since(scheduled);
        if late < MIN_ANNOUNCED_DELAY {
            return;
        }
        let mut at = scheduled.minus(ANNOUNCED_BEFORE);
        let mut promised = scheduled;
        while promised < departure {
            let minutes = departure.since(promised).min(MAX_ANNOUNCED_DELAY);
            self.push(at, Action::Delay { minutes, reason: None, by: Party::Airline });
            if promised == scheduled && late >= GATE_CHANGE_DELAY {
                self.change_gate(row);
            }
            promised = promised.plus(minutes);
            at = promised.minus(NEXT_ANNOUNCED_BEFORE);
        }
    }

    fn change_gate(&mut self, row: &Row) {
        let assigned = Gate::assigned(&row.origin, &row.carrier, self.flight.as_str());
        let gate = assigned.moved(&row.origin, &row.carrier);
        let at = row.scheduled().minus(GATE_ANNOUNCED_BEFORE);
        self.push(at, Action::ChangeGate { gate, by: Party::Airline });
    }
}

const CANCEL: Action = Action::Cancel { reason: None, by: Party::Airline };
