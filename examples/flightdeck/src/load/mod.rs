//! The year again: all flights of a file as the events that the replay makes of
//! a day's, in the order of time, as fast as the log takes them.
//!
//! Reading, deciding and encoding happen on one thread, and what it makes waits
//! in a short queue. An append has as many events as fit: a stream can stand in
//! it once, so it ends where a flight comes a second time. Several appends are
//! on their way at once, each on the condition that the one before it is stored,
//! so the log has the first events of the year at every moment, and a load that
//! was broken off is resumed by repeating it.
//!
//! Then the read models are made of it, as they are whenever the program runs.

mod appender;
mod batcher;
mod existing;
mod load;
mod load_error;
mod load_report;
mod options;
mod planned_event;
mod progress;
mod rebuild;
mod rebuild_report;
mod source;
#[cfg(test)]
mod tests;
mod timeline;

pub use load::load;
pub use load_error::LoadError;
pub use load_report::LoadReport;
pub use options::LoadOptions;
pub use progress::Progress;
pub use rebuild::rebuild;
pub use rebuild_report::RebuildReport;
