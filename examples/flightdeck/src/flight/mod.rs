//! Flights: events, commands and decisions.

mod clock_time;
mod command;
mod date;
mod event;
mod flights;
mod gate;
mod id;
mod refused;
mod state;
#[cfg(test)]
mod tests;
mod timetable;

pub use clock_time::{ClockTime, InvalidTime};
pub use command::{Action, FlightCommand};
pub use date::Date;
pub use event::{FlightEvent, Party};
pub use flights::{Flights, LENIENT_SCHEMA, SCHEMA};
pub use gate::{Gate, InvalidGate};
pub use id::{FlightId, InvalidFlightId};
pub use refused::Refused;
pub use state::{Flight, MAX_DELAY};
pub use timetable::Timetable;
