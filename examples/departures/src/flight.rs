//! The events and commands of a flight, and the decider between them.

use std::fmt;
use std::sync::LazyLock;

use downlink::{Decider, Schema, Tag};
use serde::{Deserialize, Serialize};

/// What happened to a flight.
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FlightEvent {
    /// It was put on the board.
    FlightScheduled {
        /// The origin.
        from: String,
        /// The destination.
        to: String,
    },
    /// Its departure was moved to a later time.
    FlightDelayed {
        /// The additional delay.
        minutes: u32,
    },
    /// It departed.
    FlightDeparted {
        /// The origin.
        from: String,
        /// Its delay in minutes.
        late: u32,
    },
}
// ANCHOR_END: events

/// The commands of a flight.
// ANCHOR: commands
#[derive(Clone, Debug)]
pub enum Command {
    /// Put it on the board.
    Schedule {
        /// The origin.
        from: String,
        /// The destination.
        to: String,
    },
    /// Move its departure to a later time.
    Delay {
        /// The additional delay.
        minutes: u32,
    },
    /// Let it depart.
    Depart,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// There is no such flight.
    NotOnTheBoard,
    /// The flight was scheduled before.
    AlreadyOnTheBoard,
    /// Its delay would exceed twelve hours.
    TooLate,
    /// It has departed.
    Departed,
}
// ANCHOR_END: commands

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnTheBoard => "this flight is not on the board: schedule it first",
            Self::AlreadyOnTheBoard => "this flight is on the board already",
            Self::TooLate => "it would be more than twelve hours late: cancel it instead",
            Self::Departed => "it has departed: a flight in the air cannot be delayed",
        })
    }
}

impl std::error::Error for Refused {}

/// The state of a flight, as far as decisions need it.
// ANCHOR: state
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Flight {
    /// It is not scheduled yet.
    #[default]
    Unknown,
    /// It is at its gate.
    Waiting {
        /// The origin.
        from: String,
        /// Its delay in minutes.
        late: u32,
    },
    /// It has departed.
    Departed,
}
// ANCHOR_END: state

/// The decider of flights.
#[derive(Clone, Copy, Debug)]
pub struct Flights;

/// The longest delay, in minutes.
const MAX_DELAY: u32 = 12 * 60;

// ANCHOR: decider
impl Decider for Flights {
    type State = Flight;
    type Command = Command;
    type Event = FlightEvent;
    type Error = Refused;

    fn initial(&self) -> Flight {
        Flight::Unknown
    }

    fn decide(&self, flight: &Flight, command: &Command) -> Result<Vec<FlightEvent>, Refused> {
        let event = match (flight, command) {
            (Flight::Unknown, Command::Schedule { from, to }) => {
                FlightEvent::FlightScheduled { from: from.clone(), to: to.clone() }
            }
            (Flight::Unknown, _) => return Err(Refused::NotOnTheBoard),
            (_, Command::Schedule { .. }) => return Err(Refused::AlreadyOnTheBoard),
            (Flight::Waiting { late, .. }, Command::Delay { minutes })
                if late.saturating_add(*minutes) > MAX_DELAY =>
            {
                return Err(Refused::TooLate);
            }
            (Flight::Waiting { .. }, Command::Delay { minutes }) => {
                FlightEvent::FlightDelayed { minutes: *minutes }
            }
            (Flight::Waiting { from, late }, Command::Depart) => {
                FlightEvent::FlightDeparted { from: from.clone(), late: *late }
            }
            (Flight::Departed, Command::Delay { .. }) => return Err(Refused::Departed),
            // Nothing to do.
            (Flight::Departed, Command::Depart) => return Ok(Vec::new()),
        };
        Ok(vec![event])
    }

    fn evolve(&self, flight: Flight, event: &FlightEvent) -> Flight {
        match (flight, event) {
            (_, FlightEvent::FlightScheduled { from, .. }) => {
                Flight::Waiting { from: from.clone(), late: 0 }
            }
            (Flight::Waiting { from, late }, FlightEvent::FlightDelayed { minutes }) => {
                Flight::Waiting { from, late: late + minutes }
            }
            (_, FlightEvent::FlightDeparted { .. }) => Flight::Departed,
            (flight, FlightEvent::FlightDelayed { .. }) => flight,
        }
    }
    // ANCHOR_END: decider

    // ANCHOR: tags
    fn tags(&self, flight: &Flight, event: &FlightEvent) -> downlink::Result<Vec<Tag>> {
        match (flight, event) {
            (Flight::Waiting { from, .. }, _) | (_, FlightEvent::FlightDeparted { from, .. }) => {
                Ok(vec![Tag::new(format!("airport:{from}"))?])
            }
            _ => Ok(Vec::new()),
        }
    }
    // ANCHOR_END: tags

    fn schema(&self) -> &Schema {
        &SCHEMA
    }
}

// ANCHOR: schema
/// Version 1 of `FlightDelayed` had hours instead of minutes.
pub static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::new().with_upcast("FlightDelayed", |old| {
        let hours = old["hours"].as_u64().ok_or("a delay without hours")?;
        Ok(serde_json::json!({ "minutes": hours * 60 }))
    })
});
// ANCHOR_END: schema
