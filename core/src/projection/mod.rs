//! Read models: what the events of a log amount to, kept beside a checkpoint,
//! and what drives them.

mod announcing;
mod batch;
mod builder;
mod command;
mod contract;
mod dead_letter;
mod gathering;
mod handle;
mod interruption;
mod narrowing;
mod policy;
mod progress;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod projection;
mod step;
mod target;
mod task;
mod writing;

pub use builder::ProjectionBuilder;
pub use contract::ProjectionStore;
pub use dead_letter::DeadLetter;
pub use handle::ProjectionHandle;
pub use policy::FailurePolicy;
pub use progress::{Progress, Status};
pub use projection::Projection;
pub use step::{Step, Stepped};

#[cfg(test)]
mod tests;
