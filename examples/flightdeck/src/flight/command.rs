use serde::Serialize;

use super::{Gate, Party, Timetable};
use crate::clock_time::ClockTime;

/// What somebody wants to happen to a flight, and when by the replay's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlightCommand {
    /// The minute at which it is asked for.
    pub at: ClockTime,
    /// What is asked for.
    pub action: Action,
}

/// What can be asked of a flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Put it on the board.
    Schedule(Timetable),
    /// Call the passengers.
    Board,
    /// Let it leave later.
    Delay {
        /// By how much, from the time of departure that is on the board.
        minutes: u32,
        /// Why, in a few words.
        reason: Option<String>,
        /// Who asks.
        by: Party,
    },
    /// Board it elsewhere.
    ChangeGate {
        /// Where.
        gate: Gate,
        /// Who asks.
        by: Party,
    },
    /// Let it leave.
    Depart,
    /// Let it arrive.
    Land,
    /// Let it go elsewhere.
    Divert,
    /// Take it off.
    Cancel {
        /// Why, in a few words.
        reason: Option<String>,
        /// Who asks.
        by: Party,
    },
}
