//! The day again: its clock, its agenda, and the task that gives its commands.
//!
//! What the replay does is told by its stream. Whoever pauses it appends an event,
//! and whoever runs it follows them, so that the two may be different processes.

mod agenda;
mod event;
mod history;
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

/// The stream of the replay itself.
pub const REPLAY: &str = "replay";
