use std::collections::{BTreeMap, VecDeque};
use std::vec;

use downlink::{Decider, StreamId, Version};

use super::happening::Happening;
use crate::ClockTime;
use crate::day::{BadDay, Day, FlightPlan, Year};
use crate::flight::{Flight, FlightCommand, FlightId, Flights};

/// Everything that happens in a year, in the order of time: an iterator.
///
/// Within a minute flights come in the order of the file. Only flights to which
/// something may happen at the present minute are worked on, two days' of them
/// at most times.
#[derive(Debug)]
pub(super) struct Timeline {
    year: Year,
    /// By when something happens to them next, and by their place in the year.
    journeys: BTreeMap<(ClockTime, u64), Journey>,
    flights: u64,
    ready: VecDeque<Happening>,
}

/// A flight and what is still to happen to it.
#[derive(Debug)]
struct Journey {
    flight: FlightId,
    stream: StreamId,
    state: Flight,
    last: Option<Version>,
    commands: vec::IntoIter<FlightCommand>,
}

impl Timeline {
    pub(super) fn new(year: Year) -> Self {
        Self { year, journeys: BTreeMap::new(), flights: 0, ready: VecDeque::new() }
    }

    /// Decides on the next command of the year, if there is one left.
    fn step(&mut self) -> Result<bool, BadDay> {
        self.begin_days()?;
        let Some(((_, place), mut journey)) = self.journeys.pop_first() else { return Ok(false) };
        journey.step(&mut self.ready)?;
        self.go_on(place, journey);
        Ok(true)
    }

    /// Takes in every day in which something may be next.
    fn begin_days(&mut self) -> Result<(), BadDay> {
        while let Some(opening) = self.year.next_opening()
            && self.journeys.first_key_value().is_none_or(|((next, _), _)| opening <= *next)
        {
            if let Some(day) = self.year.next().transpose()? {
                self.begin(day)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, day: Day) -> Result<(), BadDay> {
        for plan in day.into_flights() {
            let journey = Journey::of(plan)?;
            self.go_on(self.flights, journey);
            self.flights += 1;
        }
        Ok(())
    }

    fn go_on(&mut self, place: u64, journey: Journey) {
        if let Some(next) = journey.commands.as_slice().first() {
            self.journeys.insert((next.at, place), journey);
        }
    }
}

impl Iterator for Timeline {
    type Item = Result<Happening, BadDay>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Journey {
    fn of(plan: FlightPlan) -> Result<Self, BadDay> {
        let FlightPlan { flight, commands } = plan;
        let stream = StreamId::new(flight.stream());
        let stream = stream.map_err(|error| BadDay::Event(flight.clone(), error))?;
        let (state, commands) = (Flights.initial(), commands.into_iter());
        Ok(Self { flight, stream, state, last: None, commands })
    }

    fn step(&mut self, ready: &mut VecDeque<Happening>) -> Result<(), BadDay> {
        let Some(command) = self.commands.next() else { return Ok(()) };
        let events = Flights.decide(&self.state, &command);
        let events = events.map_err(|refused| BadDay::Refused(self.flight.clone(), refused))?;
        for event in events {
            self.state = Flights.evolve(std::mem::take(&mut self.state), &event);
            let tags = Flights.tags(&self.state, &event);
            let tags = tags.map_err(|error| BadDay::Event(self.flight.clone(), error))?;
            let version = Version::following(self.last);
            self.last = Some(version);
            let is_last = self.commands.as_slice().is_empty();
            let (flight, stream) = (self.flight.clone(), self.stream.clone());
            ready.push_back(Happening { flight, stream, version, event, tags, is_last });
        }
        Ok(())
    }
}
