//! FlightDeck: the departures board of New York's three airports on 1 January
//! 2013, as a program that shows what Downlink is for.
//!
//! The records of the day become commands. [`Processor`] carries them out: it
//! loads a flight's stream, lets [`flight::Flight`] decide, and appends the
//! outcome if nobody was faster. Everything that follows the log, every page
//! that is open above all, is told by that alone.
//!
//! Start reading at [`flight`], which knows nothing of logs, then at
//! [`Processor`], then at [`replay`]. The README says what to try.

mod api;
mod assets;
mod cannot_start;
mod clock_time;
pub mod day;
mod decider;
pub mod flight;
mod flight_deck;
mod fresh;
mod options;
mod processor;
mod refusal;
pub mod replay;

pub use cannot_start::CannotStart;
pub use clock_time::{ClockTime, NotATime};
pub use decider::Decider;
pub use flight_deck::FlightDeck;
pub use options::Options;
pub use processor::{Done, NotDone, Processor};
