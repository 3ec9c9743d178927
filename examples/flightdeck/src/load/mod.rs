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
mod cutter;
mod happening;
mod known;
mod loaded;
mod not_loaded;
mod options;
mod progress;
mod rebuild;
mod rebuilt;
mod source;
mod task;
#[cfg(test)]
mod tests;
mod timeline;

pub use loaded::Loaded;
pub use not_loaded::NotLoaded;
pub use options::LoadOptions;
pub use progress::Progress;
pub use rebuild::rebuild;
pub use rebuilt::Rebuilt;
pub use task::load;
