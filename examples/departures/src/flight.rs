//! What can happen to a flight, what can be asked of it, and the rules between
//! the two.

use std::fmt;
use std::sync::LazyLock;

use downlink::{Decider, Schema, Tag};
use serde::{Deserialize, Serialize};

/// What happened to a flight.
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FlightEvent {
    /// It came onto the board.
    FlightScheduled {
        /// The airport it leaves.
        from: String,
        /// The airport it goes to.
        to: String,
    },
    /// It will leave later than was said before.
    FlightDelayed {
        /// By how much.
        minutes: u32,
    },
    /// It left.
    FlightDeparted {
        /// The airport it left.
        from: String,
        /// By how many minutes it was late.
        late: u32,
    },
}
// ANCHOR_END: events

/// What can be asked of a flight.
// ANCHOR: commands
#[derive(Clone, Debug)]
pub enum Command {
    /// Put it on the board.
    Schedule {
        /// The airport it leaves.
        from: String,
        /// The airport it goes to.
        to: String,
    },
    /// Let it leave later.
    Delay {
        /// By how much.
        minutes: u32,
    },
    /// Let it leave.
    Depart,
}

/// Why something does not happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// There is no such flight.
    NotOnTheBoard,
    /// There is one already.
    AlreadyOnTheBoard,
    /// It would be later than half a day.
    TooLate,
    /// It has left.
    Departed,
}
// ANCHOR_END: commands

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnTheBoard => "this flight is not on the board: schedule it first",
            Self::AlreadyOnTheBoard => "this flight is on the board already",
            Self::TooLate => "it would be more than twelve hours late: cancel it instead",
            Self::Departed => "it has left: a flight in the air cannot wait",
        })
    }
}

impl std::error::Error for Refused {}

/// What the events of a flight amount to, as far as the rules need it.
// ANCHOR: state
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Flight {
    /// Nobody has scheduled it.
    #[default]
    Unknown,
    /// It is at its gate.
    Waiting {
        /// The airport it leaves.
        from: String,
        /// By how many minutes it will be late.
        late: u32,
    },
    /// It has left.
    Departed,
}
// ANCHOR_END: state

/// The rules of flights.
#[derive(Clone, Copy, Debug)]
pub struct Flights;

/// The latest that a flight can be, in minutes.
const LATEST: u32 = 12 * 60;

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
                if late.saturating_add(*minutes) > LATEST =>
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
            // It is as it should be already.
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
/// In version 1 of `FlightDelayed` there were hours.
pub static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::new().with_upcast("FlightDelayed", |old| {
        let hours = old["hours"].as_u64().ok_or("a delay without hours")?;
        Ok(serde_json::json!({ "minutes": hours * 60 }))
    })
});
// ANCHOR_END: schema
