//! The replayed day and its year: reads the records and turns them into commands.

mod airport;
mod flight_data_error;
mod plan;
mod row;
#[cfg(test)]
mod tests;
mod year;

use std::collections::HashMap;

pub use flight_data_error::FlightDataError;
pub use plan::FlightPlan;
pub use year::Year;

use crate::flight::ClockTime;
use crate::flight::{FlightId, InvalidFlightId};
use airport::{Airport, Airports};
use row::Row;

/// The time at which the replay starts.
pub const OPENING: ClockTime = ClockTime::new(4, 45);

const AIRPORTS: &str = include_str!("../../data/airports.csv");

/// A day of departures: a plan for each flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    flights: Vec<FlightPlan>,
}

impl Day {
    /// The day that is built into this program.
    ///
    /// # Panics
    ///
    /// Never with the built-in files; a test reads them.
    #[must_use]
    pub fn recorded() -> Self {
        Self::read(include_str!("../../data/flights-2013-01-01.csv"), AIRPORTS)
            .expect("the built-in files are valid")
    }

    /// Reads a day from the two files that the data folder's README describes.
    ///
    /// # Errors
    ///
    /// [`FlightDataError`], which names the line.
    pub fn read(flights: &str, airports: &str) -> Result<Self, FlightDataError> {
        let airports = airport::read(airports).map_err(FlightDataError::File)?;
        let rows: Vec<_> = row::read(flights.as_bytes())?.collect::<Result<_, _>>()?;
        Self::of(&rows, &airports)
    }

    fn of(rows: &[Row], airports: &Airports) -> Result<Self, FlightDataError> {
        let mut names = Names::default();
        let mut day = Self { flights: Vec::new() };
        for (row, before) in rows.iter().zip(ranks(rows)) {
            let flight = names.next(row).map_err(FlightDataError::Flight)?;
            let to = destination(airports, row)?;
            day.flights.push(FlightPlan::of(row, flight, to, before));
        }
        Ok(day)
    }

    /// The plans of all flights, in the order of the file.
    #[must_use]
    pub fn flights(&self) -> &[FlightPlan] {
        &self.flights
    }

    /// The plans of all flights, by value.
    #[must_use]
    pub fn into_flights(self) -> Vec<FlightPlan> {
        self.flights
    }
}

/// For each flight, the number of flights scheduled before it.
fn ranks(rows: &[Row]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| rows[*row].scheduled());
    let mut ranks = vec![0; rows.len()];
    for (rank, row) in (0..).zip(order) {
        ranks[row] = rank;
    }
    ranks
}

fn destination<'a>(airports: &'a Airports, row: &Row) -> Result<&'a Airport, FlightDataError> {
    airports.get(&row.dest).ok_or_else(|| FlightDataError::Airport(row.dest.clone()))
}

/// Gives every flight a unique name, also if a carrier uses a number twice.
#[derive(Debug, Default)]
struct Names {
    used: HashMap<(String, u16), u8>,
}

impl Names {
    fn next(&mut self, row: &Row) -> Result<FlightId, InvalidFlightId> {
        let nth = self.used.entry((row.carrier.clone(), row.flight)).or_default();
        *nth = nth.saturating_add(1);
        FlightId::new(&row.carrier, row.flight, row.date, *nth)
    }
}
