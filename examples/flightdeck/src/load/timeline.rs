use std::collections::{BTreeMap, VecDeque};
use std::vec;

use downlink::{Decider, StreamId, Version};

use super::planned_event::PlannedEvent;
use crate::day::{Day, FlightDataError, FlightPlan, Year};
use crate::flight::ClockTime;
use crate::flight::{Flight, FlightCommand, FlightId, Flights};

/// An iterator over all events of a year, in chronological order.
///
/// Within a minute, flights have the order of the file. Only active flights are in memory,
/// usually those of two days.
#[derive(Debug)]
pub(super) struct Timeline {
    year: Year,
    /// The active flights by the time of their next command and their index in the year.
    active: BTreeMap<(ClockTime, u64), ActiveFlight>,
    flights: u64,
    ready: VecDeque<PlannedEvent>,
}

/// A flight and its remaining commands.
#[derive(Debug)]
struct ActiveFlight {
    flight: FlightId,
    stream: StreamId,
    state: Flight,
    last: Option<Version>,
    commands: vec::IntoIter<FlightCommand>,
}

impl Timeline {
    pub(super) fn new(year: Year) -> Self {
        Self { year, active: BTreeMap::new(), flights: 0, ready: VecDeque::new() }
    }

    /// Decides the next command of the year, if there is one.
    fn step(&mut self) -> Result<bool, FlightDataError> {
        self.begin_days()?;
        let Some(((_, index), mut flight)) = self.active.pop_first() else { return Ok(false) };
        flight.step(&mut self.ready)?;
        self.queue(index, flight);
        Ok(true)
    }

    /// Adds the flights of every day whose first command can be next.
    fn begin_days(&mut self) -> Result<(), FlightDataError> {
        while let Some(opening) = self.year.next_opening()
            && self.active.first_key_value().is_none_or(|((next, _), _)| opening <= *next)
        {
            if let Some(day) = self.year.next().transpose()? {
                self.begin(day)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, day: Day) -> Result<(), FlightDataError> {
        for plan in day.into_flights() {
            let flight = ActiveFlight::of(plan)?;
            self.queue(self.flights, flight);
            self.flights += 1;
        }
        Ok(())
    }

    fn queue(&mut self, index: u64, flight: ActiveFlight) {
        if let Some(next) = flight.commands.as_slice().first() {
            self.active.insert((next.at, index), flight);
        }
    }
}

impl Iterator for Timeline {
    type Item = Result<PlannedEvent, FlightDataError>;

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

impl ActiveFlight {
    fn of(plan: FlightPlan) -> Result<Self, FlightDataError> {
        let FlightPlan { flight, commands } = plan;
        let stream = StreamId::new(flight.stream());
        let stream = stream.map_err(|error| FlightDataError::Event(flight.clone(), error))?;
        let (state, commands) = (Flights.initial(), commands.into_iter());
        Ok(Self { flight, stream, state, last: None, commands })
    }

    fn step(&mut self, ready: &mut VecDeque<PlannedEvent>) -> Result<(), FlightDataError> {
        let Some(command) = self.commands.next() else { return Ok(()) };
        let events = Flights.decide(&self.state, &command);
        let events =
            events.map_err(|refused| FlightDataError::Refused(self.flight.clone(), refused))?;
        for event in events {
            self.state = Flights.evolve(std::mem::take(&mut self.state), &event);
            let tags = Flights.tags(&self.state, &event);
            let tags = tags.map_err(|error| FlightDataError::Event(self.flight.clone(), error))?;
            let version = Version::following(self.last);
            self.last = Some(version);
            let is_last = self.commands.as_slice().is_empty();
            let (flight, stream) = (self.flight.clone(), self.stream.clone());
            ready.push_back(PlannedEvent { flight, stream, version, event, tags, is_last });
        }
        Ok(())
    }
}
