//! Projections: read models that are built from the events of a log and stored
//! with a checkpoint.

mod dead_letter;
mod failure_policy;
mod lease;
mod progress;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod projection;
mod projection_builder;
mod projection_handle;
mod projection_row;
mod projection_store;
mod runner;
mod step;

pub use dead_letter::DeadLetter;
pub use failure_policy::FailurePolicy;
pub use lease::{Lease, LeaseOutcome, LeaseToken};
pub use progress::{Progress, Status};
pub use projection::Projection;
pub use projection_builder::ProjectionBuilder;
pub use projection_handle::ProjectionHandle;
pub use projection_row::ProjectionRow;
pub use projection_store::ProjectionStore;
pub use step::{Step, StepOutcome};

#[cfg(test)]
mod tests;
