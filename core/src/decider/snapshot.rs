use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::id::{EventId, StreamId, Version};

/// Stores states of streams, so that loading a long stream need not begin at
/// its first event.
///
/// # Contract
///
/// A snapshot store guarantees almost nothing. It may lose snapshots, confuse
/// them, or return corrupted ones: the executor uses a snapshot only if the
/// stream has the same event at the snapshot's version, and reads the stream
/// from its beginning otherwise. Only one thing must not happen: that a
/// returned snapshot decodes to a state that differs from the state of its
/// events.
#[async_trait]
pub trait SnapshotStore: fmt::Debug + Send + Sync + 'static {
    /// Loads the snapshot that was saved under the key; `None` if there is
    /// none.
    ///
    /// # Errors
    ///
    /// Any error. The executor logs it and continues without a snapshot.
    async fn load(&self, key: &SnapshotKey) -> Result<Option<Snapshot>>;

    /// Saves a snapshot, replacing the one that was saved under the key before.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load). The command has already been executed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the next load returns a complete snapshot or
    /// none.
    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SnapshotStore + ?Sized> SnapshotStore for Arc<S> {
    async fn load(&self, key: &SnapshotKey) -> Result<Option<Snapshot>> {
        (**self).load(key).await
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
    /// The state as JSON.
    pub state: Bytes,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("schema", &self.schema)
            .field("version", &self.version.get())
            .field("event", &self.event)
            .field("state_bytes", &self.state.len())
            .finish()
    }
}
