use serde::{Deserialize, Serialize};

use super::Speed;
use crate::clock_time::ClockTime;

/// What happened to the replay, in a stream of its own, `replay`.
///
/// A page follows it as it follows the flights, so every page shows the same
/// clock and nobody has to ask for it again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReplayEvent {
    /// A program began to replay the day, or went on with it.
    ReplayStarted {
        /// Where in the day.
        clock: ClockTime,
        /// How fast.
        speed: Speed,
        /// Whether it waits for somebody to resume it.
        paused: bool,
    },
    /// The program was ended in good order; the next one starts from here.
    ReplayStopped {
        /// What the clock showed.
        clock: ClockTime,
    },
    /// Somebody stopped the clock.
    ReplayPaused {
        /// What it showed.
        clock: ClockTime,
    },
    /// Somebody let the clock go on.
    ReplayResumed {
        /// What it showed.
        clock: ClockTime,
    },
    /// Somebody changed the speed.
    ReplaySpeedChanged {
        /// What the clock showed.
        clock: ClockTime,
        /// The new speed.
        speed: Speed,
    },
    /// The last flight of the day has landed.
    ReplayFinished {
        /// When.
        clock: ClockTime,
    },
}
