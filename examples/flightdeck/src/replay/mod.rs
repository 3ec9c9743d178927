//! The replay of the day: its clock, its agenda, and the task that executes commands.
//!
//! The state of the replay is a stream. A pause appends an event to it, and the task
//! follows it, so that the two can be in different processes.

mod agenda;
mod event;
mod history;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod replay;
mod replay_clock;
mod replay_decider;
mod snapshot;
mod speed;
mod state;
mod task;
#[cfg(test)]
mod tests;

pub use agenda::{Agenda, Due};
pub use event::ReplayEvent;
pub use replay::{ControlResult, Replay, Status};
pub use replay_clock::ReplayClock;
pub use replay_decider::ReplayDecider;
pub use speed::{InvalidSpeed, Speed};
pub use state::{Control, DayIsOver, ReplayAction, ReplayCommand, ReplayState};

/// The stream of the replay.
pub const REPLAY: &str = "replay";
