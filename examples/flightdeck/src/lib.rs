//! FlightDeck: the departures board of New York's three airports on 1 January
//! 2013, as a program that shows what Downlink is for.
//!
//! The records of the day become commands. A [`downlink::Executor`] carries them
//! out: it loads a flight's stream, lets [`flight::Flights`] decide, and appends
//! the outcome if nobody was faster. Everything that follows the log, every page
//! that is open above all, is told by that alone.
//!
//! Start reading at [`flight`], which knows nothing of logs, then at [`replay`].
//! The README says what to try.

mod api;
mod assets;
mod cannot_start;
mod clock_time;
mod database;
mod date;
pub mod day;
mod driver;
mod feed;
pub mod flight;
mod flight_deck;
mod fresh;
pub mod load;
mod options;
mod refusal;
pub mod replay;
mod views;

pub use cannot_start::CannotStart;
pub use clock_time::{ClockTime, NotATime};
pub use database::Database;
pub use date::Date;
pub use driver::Driver;
pub use feed::Feed;
pub use flight_deck::FlightDeck;
pub use options::{Command, FeedOptions, Options};
