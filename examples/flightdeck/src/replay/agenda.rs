use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::replay_clock::since_midnight;
use crate::day::{Day, OPENING};
use crate::flight::ClockTime;
use crate::flight::{FlightCommand, FlightId};

/// The remaining commands of the day, ordered by time.
///
/// A flight's commands are executed one at a time: the next is taken only when the
/// previous one is [`done`](Self::done).
#[derive(Debug)]
pub struct Agenda {
    flights: Vec<PendingFlight>,
    due: BinaryHeap<Reverse<(Duration, usize)>>,
}

/// A flight and its remaining commands.
#[derive(Debug)]
struct PendingFlight {
    flight: FlightId,
    commands: VecDeque<(u16, FlightCommand)>,
    /// The minutes by which visitors have delayed it.
    delay: u32,
    /// The second of the minute at which its commands are due, so that flights with the
    /// same minute do not all change at once.
    second: u64,
}

/// A command that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The flight.
    pub flight: FlightId,
    /// The number of the command, counted from 0 for each flight: the same in every run.
    pub number: u16,
    /// The command.
    pub command: FlightCommand,
    index: usize,
}

impl Agenda {
    /// The agenda of a day. `done` returns when a flight's command with this number was
    /// executed, if it was.
    pub fn new(day: &Day, done: impl Fn(&FlightId, u16) -> Option<ClockTime>) -> Self {
        let mut agenda = Self { flights: Vec::new(), due: BinaryHeap::new() };
        for plan in day.flights() {
            let mut flight = PendingFlight {
                flight: plan.flight.clone(),
                commands: VecDeque::new(),
                delay: 0,
                second: second_of(&plan.flight),
            };
            for (number, command) in (0..).zip(&plan.commands) {
                match done(&plan.flight, number) {
                    Some(at) => flight.delay = at.since(command.at),
                    None => flight.commands.push_back((number, command.clone())),
                }
            }
            agenda.flights.push(flight);
            agenda.queue(agenda.flights.len() - 1);
        }
        agenda
    }

    /// When the next command is due, as time since midnight; `None` if the day is over.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the commands that are due at `now`, at most one per flight.
    ///
    /// Each of them has to be passed to [`done`](Self::done),
    /// [`retry`](Self::retry) or [`postpone`](Self::postpone).
    pub fn take(&mut self, now: Duration) -> Vec<Due> {
        let mut taken = Vec::new();
        while let Some(index) = self.pop(now) {
            let flight = &mut self.flights[index];
            if let Some((number, mut command)) = flight.commands.pop_front() {
                command.at = command.at.plus(flight.delay);
                taken.push(Due { flight: flight.flight.clone(), number, command, index });
            }
        }
        taken
    }

    /// The command was executed, or never will be: continues with the flight's next one.
    pub fn done(&mut self, due: &Due) {
        self.queue(due.index);
    }

    /// The outcome of the command is unknown: it is due again.
    pub fn retry(&mut self, due: Due) {
        let flight = &mut self.flights[due.index];
        let at = due.command.at.minus(flight.delay);
        flight.commands.push_front((due.number, FlightCommand { at, ..due.command }));
        self.queue(due.index);
    }

    /// The command came too early: postpones it to `until`, and the flight's later commands
    /// by the same time.
    pub fn postpone(&mut self, due: Due, until: ClockTime) {
        let late = until.since(due.command.at).max(1);
        let at = due.command.at.plus(late);
        self.flights[due.index].delay += late;
        self.retry(Due { command: FlightCommand { at, ..due.command }, ..due });
    }

    fn pop(&mut self, now: Duration) -> Option<usize> {
        let Reverse((due, index)) = *self.due.peek()?;
        (due <= now).then(|| {
            self.due.pop();
            index
        })
    }

    fn queue(&mut self, index: usize) {
        let flight = &self.flights[index];
        if let Some((_, command)) = flight.commands.front() {
            let at = command.at.plus(flight.delay);
            // The first flights are on the board at the start.
            let second = if at == OPENING { 0 } else { flight.second };
            self.due.push(Reverse((since_midnight(at) + Duration::from_secs(second), index)));
        }
    }
}

/// A second between 0 and 59 that depends on the flight's name.
fn second_of(flight: &FlightId) -> u64 {
    flight.as_str().bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flight::Action;

    const WHOLE_DAY: Duration = Duration::from_hours(48);

    fn nothing(_: &FlightId, _: u16) -> Option<ClockTime> {
        None
    }

    fn run(mut agenda: Agenda) -> Vec<Due> {
        let mut all = Vec::new();
        while let Some(now) = agenda.next() {
            for due in agenda.take(now) {
                agenda.done(&due);
                all.push(due);
            }
        }
        all
    }

    #[test]
    fn commands_are_ordered_by_time() {
        let all = run(Agenda::new(&Day::recorded(), nothing));
        let planned: usize = Day::recorded().flights().iter().map(|plan| plan.commands.len()).sum();
        assert_eq!(all.len(), planned);
        assert!(all.is_sorted_by_key(|due| due.command.at), "the commands are not ordered");
    }

    #[test]
    fn a_flight_has_one_command_at_a_time() {
        let mut agenda = Agenda::new(&Day::recorded(), nothing);
        let first = agenda.take(WHOLE_DAY);
        assert_eq!(first.len(), 842);
        assert!(agenda.take(WHOLE_DAY).is_empty());
        agenda.done(&first[0]);
        let second = agenda.take(WHOLE_DAY);
        assert_eq!((second[0].number, &second[0].flight), (1, &first[0].flight));
    }

    #[test]
    fn a_postponed_command_delays_the_later_ones() {
        let mut agenda = Agenda::new(&Day::recorded(), nothing);
        let boarding = loop {
            let now = agenda.next().expect("a flight that boards");
            let due = agenda.take(now).remove(0);
            if due.command.action == Action::Board {
                break due;
            }
            agenda.done(&due);
        };
        let until = boarding.command.at.plus(45);
        let flight = boarding.flight.clone();
        agenda.postpone(boarding.clone(), until);
        let rest: Vec<_> = run(agenda).into_iter().filter(|due| due.flight == flight).collect();
        assert_eq!((rest[0].number, rest[0].command.at), (boarding.number, until));
        let planned = Day::recorded();
        let planned = planned.flights().iter().find(|plan| plan.flight == flight).unwrap();
        assert_eq!(rest.last().unwrap().command.at, planned.commands.last().unwrap().at.plus(45));
    }

    #[test]
    fn executed_commands_are_left_out() {
        let day = Day::recorded();
        let all = run(Agenda::new(&day, nothing));
        let (before, after) = all.split_at(1_000);
        let done = |flight: &FlightId, number| {
            before
                .iter()
                .find(|due| due.flight == *flight && due.number == number)
                .map(|due| due.command.at)
        };
        let mut rest = run(Agenda::new(&day, done));
        let mut expected = after.to_vec();
        let order = |due: &Due| (due.flight.clone(), due.number);
        rest.sort_by_key(order);
        expected.sort_by_key(order);
        assert_eq!(rest, expected);
    }

    #[test]
    fn a_delay_by_a_visitor_survives_a_restart() {
        let day = Day::recorded();
        let flight = &day.flights()[0];
        let late = flight.commands[2].at.plus(30);
        let agenda = Agenda::new(&day, |name, number| {
            (*name == flight.flight && number <= 2).then_some(late)
        });
        let landing = run(agenda).into_iter().find(|due| due.flight == flight.flight).unwrap();
        assert_eq!(landing.command.at, flight.commands[3].at.plus(30));
    }
}
