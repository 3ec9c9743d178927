use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::event::Timestamp;
use crate::id::{EventId, StreamId, Version};

/// Stores states of streams, so that loading a long stream need not begin at
/// its first event.
///
/// The stores of logs implement it, and so does
/// [`MemorySnapshots`](crate::decider::MemorySnapshots).
///
/// # Contract
///
/// A snapshot store may lose snapshots, and return ones that are old or belong
/// to a log that was replaced: the executor uses a snapshot only if the stream
/// has the same event at the snapshot's version, recorded at the same time, and
/// reads the stream from its beginning otherwise. These promises are left; the
/// names in brackets are the laws that check them.
///
/// 1. **A snapshot is whole.** What is returned was saved under this key as it
///    is: state, version, event and schema version of one [`save`](Self::save).
///    So no snapshot changes the answer to a command
///    \[`a_snapshot_never_changes_an_answer`\].
/// 2. **The last one comes back.** After a save has returned, the snapshot is
///    loaded under its key and under no other, until another one is saved there
///    or the store loses it. A store of snapshots that outlive the process
///    returns it after it was reopened, too \[`a_saved_snapshot_comes_back`\].
/// 3. **Large ones stay where they are.** A state of more bytes than the caller
///    takes is not returned, and not read into memory first
///    \[`a_snapshot_above_the_limit_is_not_loaded`\].
#[async_trait]
pub trait SnapshotStore: fmt::Debug + Send + Sync + 'static {
    /// Loads the snapshot that was saved under the key; `None` if there is
    /// none, or if its state has more than `max_bytes`.
    ///
    /// # Errors
    ///
    /// Any error. The executor logs it and continues without a snapshot.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    async fn load(&self, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>>;

    /// Saves a snapshot, replacing the one that was saved under the key before.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load). The command has already been executed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the next load returns the snapshot, or what it
    /// would have returned without the call.
    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SnapshotStore + ?Sized> SnapshotStore for Arc<S> {
    async fn load(&self, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>> {
        (**self).load(key, max_bytes).await
    }

    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()> {
        (**self).save(key, snapshot).await
    }
}

/// The key under which a snapshot is saved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SnapshotKey {
    /// The stream.
    pub stream: StreamId,
    /// The name of the kind of state; see
    /// [`Snapshots::new`](crate::decider::Snapshots::new).
    pub name: String,
}

/// The state of a stream after one of its events.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The schema version of the state.
    pub schema: u32,
    /// The version of the last event that the state contains.
    pub version: Version,
    /// The id of that event, by which the stream's history is verified.
    pub event: EventId,
    /// When that event was recorded, which is verified, too: after a restore, a
    /// repeated command gives the id to another event.
    pub recorded_at: Timestamp,
    /// The state as JSON.
    pub state: Bytes,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("schema", &self.schema)
            .field("version", &self.version.get())
            .field("event", &self.event)
            .field("recorded_at", &self.recorded_at)
            .field("state_bytes", &self.state.len())
            .finish()
    }
}
