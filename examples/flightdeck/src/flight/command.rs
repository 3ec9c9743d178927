use super::{Gate, Party, Timetable};
use crate::flight::ClockTime;

/// A command for a flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlightCommand {
    /// When it is given, by the replay's clock.
    pub at: ClockTime,
    /// The action.
    pub action: Action,
}

/// The actions of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put it on the board.
    Schedule(Timetable),
    /// Start boarding.
    Board,
    /// Move the departure to a later time.
    Delay {
        /// The additional delay, from the announced departure.
        minutes: u32,
        /// The reason, in a few words.
        reason: Option<String>,
        /// Who decided it.
        by: Party,
    },
    /// Board at another gate.
    ChangeGate {
        /// The new gate.
        gate: Gate,
        /// Who decided it.
        by: Party,
    },
    /// Depart.
    Depart,
    /// Land.
    Land,
    /// Divert it to another airport.
    Divert,
    /// Cancel it.
    Cancel {
        /// The reason, in a few words.
        reason: Option<String>,
        /// Who decided it.
        by: Party,
    },
}
