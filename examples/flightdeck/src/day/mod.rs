//! The day that is replayed: what the files say, as commands to flights.

mod airport;
mod plan;
mod row;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

pub use plan::FlightPlan;

use crate::ClockTime;
use crate::flight::{FlightId, NotAFlight};
use airport::Airport;
use row::Row;

/// When the hall opens and the replay begins.
pub const OPENING: ClockTime = ClockTime::new(4, 45);

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
        Self::read(
            include_str!("../../data/flights-2013-01-01.csv"),
            include_str!("../../data/airports.csv"),
        )
        .expect("the files that are built in to be well-formed")
    }

    /// Reads a day from the two files that its README describes.
    ///
    /// # Errors
    ///
    /// [`BadDay`], which names the line.
    pub fn read(flights: &str, airports: &str) -> Result<Self, BadDay> {
        let airports = airport::read(airports).map_err(BadDay::File)?;
        let mut names = Names::default();
        let mut day = Self { flights: Vec::new() };
        let rows = row::read(flights).map_err(BadDay::File)?;
        for (row, before) in rows.iter().zip(places(&rows)) {
            let flight = names.next(row).map_err(BadDay::Flight)?;
            let to = destination(&airports, row)?;
            day.flights.push(FlightPlan::of(row, flight, to, before));
        }
        Ok(day)
    }

    /// The plan of every flight, in the order of the file.
    #[must_use]
    pub fn flights(&self) -> &[FlightPlan] {
        &self.flights
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

fn destination<'a>(
    airports: &'a HashMap<String, Airport>,
    row: &Row,
) -> Result<&'a Airport, BadDay> {
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
        FlightId::new(&row.carrier, row.flight, *nth)
    }
}

/// Why a file could not be read as a day.
#[derive(Debug)]
pub enum BadDay {
    /// It is not CSV, or a field is not what it should be.
    File(csv::Error),
    /// A flight has no name.
    Flight(NotAFlight),
    /// A flight goes to an airport that is not listed.
    Airport(String),
}

impl fmt::Display for BadDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Flight(error) => error.fmt(f),
            Self::Airport(code) => write!(f, "the airport '{code}' is not in the list of airports"),
        }
    }
}

impl std::error::Error for BadDay {}
