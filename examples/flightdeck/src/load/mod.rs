//! Loads a file of flights: the events that the replay would make, in chronological
//! order, as fast as possible.
//!
//! One thread reads, decides and encodes, and puts batches into a short queue. An append
//! has as many events as possible: it can contain a stream only once, so it ends where a
//! flight occurs again. Several appends run concurrently, each on the condition that the
//! previous one is stored. So the log always has a prefix of the year, and an interrupted
//! load resumes when it is repeated.
//!
//! Then the read models are built, by the same projections that the server runs.

mod appender;
mod batcher;
mod existing;
#[expect(clippy::module_inception, reason = "the main function, in a file of its name")]
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
