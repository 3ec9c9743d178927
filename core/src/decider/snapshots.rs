use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Snapshot, SnapshotKey, SnapshotStore};
use crate::id::{EventId, StreamId, Version};

/// Where an [`Executor`](crate::Executor) keeps snapshots, of what form they
/// are, and how often it makes one.
///
/// Worth it for streams of hundreds of events and more. A snapshot is made
/// after the append and before the answer, so its store should be near.
#[derive(Clone, Debug)]
pub struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    name: String,
    schema: u32,
    every: u64,
}

impl Snapshots {
    /// Snapshots in this store, under a name of their own beside those that
    /// others keep of the same streams. Give the state's form the next version
    /// whenever it changes: snapshots of other versions are not used.
    pub fn new(store: impl SnapshotStore, name: impl Into<String>, schema: u32) -> Self {
        Self { store: Arc::new(store), name: name.into(), schema, every: 100 }
    }

    /// Makes a snapshot when so many events came after the last one: 100 by
    /// default, and 1 at least.
    #[must_use]
    pub fn with_every(mut self, events: u64) -> Self {
        self.every = events.max(1);
        self
    }
}

/// Snapshots of one type of state.
#[derive(Clone)]
pub(super) struct Keeper<S> {
    snapshots: Snapshots,
    encode: fn(&S) -> serde_json::Result<Vec<u8>>,
    decode: fn(&[u8]) -> serde_json::Result<S>,
}

/// A state that a snapshot store returned, not verified yet.
pub(super) struct Kept<S> {
    pub(super) state: S,
    pub(super) version: Version,
    pub(super) event: EventId,
}

impl<S> Keeper<S> {
    pub(super) fn new(snapshots: Snapshots) -> Self
    where
        S: Serialize + DeserializeOwned,
    {
        Self {
            snapshots,
            encode: |state| serde_json::to_vec(state),
            decode: |bytes| serde_json::from_slice(bytes),
        }
    }

    /// What is kept of a stream; `None` if nothing is that could be of use.
    pub(super) async fn load(&self, stream: &StreamId) -> Option<Kept<S>> {
        let snapshot = match self.snapshots.store.load(&self.key(stream)).await {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                tracing::warn!(%stream, %error, "no snapshot was loaded: the stream is read from its first event");
                return None;
            }
        };
        if snapshot.schema != self.snapshots.schema {
            return None;
        }
        let Snapshot { version, event, state, .. } = snapshot;
        let decoded = (self.decode)(&state);
        let unreadable = |error: &_| tracing::warn!(%stream, %error, "a snapshot cannot be read: is its version right?");
        Some(Kept { state: decoded.inspect_err(unreadable).ok()?, version, event })
    }

    /// Whether it is time for the next one, so many events after the last.
    pub(super) fn is_due(&self, events: u64) -> bool {
        events >= self.snapshots.every
    }

    pub(super) async fn save(
        &self,
        stream: &StreamId,
        version: Version,
        event: EventId,
        state: &S,
    ) {
        let saved = match (self.encode)(state) {
            Ok(state) => {
                let schema = self.snapshots.schema;
                let snapshot = Snapshot { schema, version, event, state: state.into() };
                self.snapshots.store.save(&self.key(stream), snapshot).await
            }
            Err(error) => {
                return tracing::warn!(%stream, %error, "a state cannot be written as a snapshot");
            }
        };
        if let Err(error) = saved {
            tracing::warn!(%stream, %error, "a snapshot was not saved");
        }
    }

    fn key(&self, stream: &StreamId) -> SnapshotKey {
        SnapshotKey { stream: stream.clone(), name: self.snapshots.name.clone() }
    }
}
