//! Typed commands: decide on the state of a stream, append the events, and
//! retry after conflicts.

mod bounded_json;
mod command_context;
mod command_id;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod decider;
mod execute_error;
mod executed;
mod execution;
mod executor;
mod loaded_stream;
mod memory_snapshots;
mod retry_policy;
mod schema;
mod snapshot;
mod snapshots;

pub use command_context::CommandContext;
pub use command_id::CommandId;
pub use decider::Decider;
pub use execute_error::ExecuteError;
pub use executed::Executed;
pub use executor::Executor;
pub use memory_snapshots::MemorySnapshots;
pub use schema::Schema;
pub use snapshot::{Snapshot, SnapshotKey, SnapshotStore};
pub use snapshots::Snapshots;

#[cfg(test)]
mod tests;
