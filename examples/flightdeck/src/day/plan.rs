use super::OPENING;
use super::airport::Airport;
use super::row::Row;
use crate::clock_time::ClockTime;
use crate::flight::{Action, FlightCommand, FlightId, Gate, Party, Timetable};

/// How long before departure a flight comes onto the board.
const ON_THE_BOARD: u32 = 120;
/// In the morning the board is empty, and fills with so many flights a minute.
const FILLING: u32 = 4;
/// How long before departure a delay or a cancellation is announced first.
const ANNOUNCED: u32 = 30;
/// How long before departure passengers are called.
const BOARDING: u32 = 30;
/// Nobody is called earlier than this before the time of the timetable, however
/// early a flight leaves.
const EARLIEST_BOARDING: u32 = 60;
/// A flight that leaves less than this late is not announced as delayed.
const WORTH_SAYING: u32 = 15;
/// The longest delay that is admitted at once; the rest comes bit by bit, as
/// passengers know it.
const ADMITTED: u32 = 60;
/// How long before the time that was promised the next delay is announced.
const NEXT_ANNOUNCED: u32 = 20;
/// A flight that leaves this late gives up its gate to another.
const GIVES_UP_ITS_GATE: u32 = 60;
/// How long before the time of its timetable that is announced.
const GATE_ANNOUNCED: u32 = 20;

/// What happens to one flight in the day, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlightPlan {
    /// The flight.
    pub flight: FlightId,
    /// Its commands; the time of none is before that of the one above it.
    pub commands: Vec<FlightCommand>,
}

impl FlightPlan {
    /// The plan by which a recorded flight goes as it went.
    ///
    /// The file says when a flight left and arrived. When it was announced,
    /// boarded and diverted is not recorded, and set by the rules above.
    /// `before` is the number of flights that are to leave before it.
    pub(super) fn of(row: &Row, flight: FlightId, to: &Airport, before: u32) -> Self {
        let mut plan = Self { flight, commands: Vec::new() };
        plan.appear(row, to, before);
        match row.departed() {
            Some(departure) => plan.leave(row, departure, to),
            None => plan.push(row.scheduled().minus(ANNOUNCED), CANCEL),
        }
        plan
    }

    fn push(&mut self, at: ClockTime, action: Action) {
        // Never before what came first.
        let earliest = self.commands.last().map_or(at, |command| command.at);
        self.commands.push(FlightCommand { at: at.max(earliest), action });
    }

    fn appear(&mut self, row: &Row, to: &Airport, before: u32) {
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
        let has_room = OPENING.on(row.date).plus(before / FILLING);
        self.push(row.scheduled().minus(ON_THE_BOARD).max(has_room), Action::Schedule(timetable));
    }

    fn leave(&mut self, row: &Row, departure: ClockTime, to: &Airport) {
        self.announce_delays(row, departure);
        let doors = row.scheduled().minus(EARLIEST_BOARDING);
        self.push(departure.minus(BOARDING).max(doors), Action::Board);
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
        if late < WORTH_SAYING {
            return;
        }
        let mut at = scheduled.minus(ANNOUNCED);
        let mut promised = scheduled;
        while promised < departure {
            let minutes = departure.since(promised).min(ADMITTED);
            self.push(at, Action::Delay { minutes, reason: None, by: Party::Airline });
            if promised == scheduled && late >= GIVES_UP_ITS_GATE {
                self.change_gate(row);
            }
            promised = promised.plus(minutes);
            at = promised.minus(NEXT_ANNOUNCED);
        }
    }

    fn change_gate(&mut self, row: &Row) {
        let assigned = Gate::assigned(&row.origin, &row.carrier, self.flight.as_str());
        let gate = assigned.moved(&row.origin, &row.carrier);
        let at = row.scheduled().minus(GATE_ANNOUNCED);
        self.push(at, Action::ChangeGate { gate, by: Party::Airline });
    }
}

const CANCEL: Action = Action::Cancel { reason: None, by: Party::Airline };
