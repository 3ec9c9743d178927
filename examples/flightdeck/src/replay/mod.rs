//! The day again: its clock, its agenda, and the task that gives its commands.

mod agenda;
mod event;
mod handle;
mod history;
mod pace;
mod speed;
mod state;
mod task;
#[cfg(test)]
mod tests;

pub use agenda::{Agenda, Due};
pub use event::ReplayEvent;
pub use handle::{Replay, Status};
pub use pace::Pace;
pub use speed::{NotASpeed, Speed};
pub use state::{Control, DayIsOver, ReplayAction, ReplayCommand, ReplayState};

/// The stream of the replay itself.
pub const REPLAY: &str = "replay";
