//! The day again: its clock, its agenda, and the task that gives its commands.
//!
//! What the replay does is told by its stream. Whoever pauses it appends an event,
//! and whoever runs it follows them, so that the two may be different processes.

mod agenda;
mod event;
mod handle;
mod history;
mod pace;
mod replays;
mod seen;
mod speed;
mod state;
mod task;
#[cfg(test)]
mod tests;

pub use agenda::{Agenda, Due};
pub use event::ReplayEvent;
pub use handle::{Answer, Replay, Status};
pub use pace::Pace;
pub use replays::Replays;
pub use speed::{NotASpeed, Speed};
pub use state::{Control, DayIsOver, ReplayAction, ReplayCommand, ReplayState};

/// The stream of the replay itself.
pub const REPLAY: &str = "replay";
