//! Moving a log: copying it into another store, and comparing the two.

mod comparison;
mod log_copy;
mod log_reader;
mod place;
mod progress;

pub use comparison::{Comparison, Difference};
pub use log_copy::{Copied, LogCopy};
pub use progress::{Phase, Progress};
