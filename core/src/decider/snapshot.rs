use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::id::{EventId, StreamId, Version};

/// Keeps states of streams, so that loading a long one need not begin at its
/// first event.
///
/// # Contract
///
/// There is none to speak of: nothing depends on what a snapshot store does. It
/// may forget, mix up, or return what it was never given; the executor uses a
/// snapshot only if the stream has the same event at the snapshot's version,
/// and reads the stream from its beginning otherwise. What it must not do is to
/// make up a state that decodes and is another than the events amount to.
#[async_trait]
pub trait SnapshotStore: fmt::Debug + Send + Sync + 'static {
    /// The snapshot that was saved under the key; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Any. The executor says so by `tracing`, and goes on without.
    async fn load(&self, key: &SnapshotKey) -> Result<Option<Snapshot>>;

    /// Keeps a snapshot, in place of the one that was saved under the key
    /// before.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load). The command has been carried out by then.
    ///
    /// # Cancel safety
    ///
    /// Whatever happens, the next load returns a whole snapshot or none.
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

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SnapshotKey {
    /// The stream.
    pub stream: StreamId,
    /// Whose state of it; see [`Snapshots::new`](crate::decider::Snapshots::new).
    pub name: String,
}

/// The state of a stream after one of its events.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the state's form.
    pub schema: u32,
    /// The version of the last event in it.
    pub version: Version,
    /// The id of that event: a stream of another history has another one there.
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
