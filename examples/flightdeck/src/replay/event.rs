use serde::{Deserialize, Serialize};

use super::Speed;
use crate::flight::ClockTime;

/// The events of the replay, in the stream `replay`.
///
/// Pages follow it like the flights, so all pages show the same clock without polling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ReplayEvent {
    /// A program started or resumed the replay.
    ReplayStarted {
        /// The time of the clock.
        clock: ClockTime,
        /// The speed.
        speed: Speed,
        /// Whether it is paused.
        paused: bool,
    },
    /// The program was stopped; the next one starts from here.
    ReplayStopped {
        /// The time of the clock.
        clock: ClockTime,
    },
    /// A visitor paused the clock.
    ReplayPaused {
        /// The time of the clock.
        clock: ClockTime,
    },
    /// A visitor resumed the clock.
    ReplayResumed {
        /// The time of the clock.
        clock: ClockTime,
    },
    /// A visitor changed the speed.
    ReplaySpeedChanged {
        /// The time of the clock.
        clock: ClockTime,
        /// The new speed.
        speed: Speed,
    },
    /// The last flight of the day has landed.
    ReplayFinished {
        /// The time of the clock.
        clock: ClockTime,
    },
}
