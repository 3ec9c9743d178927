//! FlightDeck: the departures board of New York's three airports on 1 January 2013.
//!
//! The records of the day become commands. A [`downlink::Executor`] executes them: it
//! loads a flight's stream, lets [`flight::Flights`] decide, and appends the events if
//! the stream has not changed meanwhile. Pages and read models follow the log.
//!
//! Start reading at [`flight`], which does not depend on a log, then at [`replay`].
//! The README has a tour.

mod api;
mod assets;
pub mod day;
pub mod flight;
mod flight_deck;
pub mod load;
mod options;
mod read_models;
pub mod replay;
mod replayer;
#[cfg(test)]
mod types;

pub use flight_deck::FlightDeck;
pub use options::{Command, LogOptions, Options, ReplayOptions};
pub use replayer::Replayer;
