//! The typed side of commands: decide, append, and try again.

mod command_id;
mod context;
mod contract;
mod execute_error;
mod executed;
mod execution;
mod executor;
mod loaded;
mod memory_snapshots;
mod retries;
mod schema;
mod snapshot;
mod snapshots;

pub use command_id::CommandId;
pub use context::Context;
pub use contract::Decider;
pub use execute_error::ExecuteError;
pub use executed::Executed;
pub use executor::Executor;
pub use memory_snapshots::MemorySnapshots;
pub use schema::Schema;
pub use snapshot::{Snapshot, SnapshotKey, SnapshotStore};
pub use snapshots::Snapshots;

#[cfg(test)]
mod tests;
