use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Snapshot, SnapshotKey, SnapshotStore};
use crate::id::{EventId, StreamId, Version};

/// The snapshots of an [`Executor`](crate::Executor): where they are stored,
/// their schema version, and how often one is made.
///
/// Useful for streams of hundreds of events and more. A snapshot is saved after
/// the append and before the command returns, so its store should be fast.
#[derive(Clone, Debug)]
pub struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    name: String,
    schema: u32,
    every: u64,
}

impl Snapshots {
    /// Creates snapshots in this store. The name distinguishes them from other
    /// snapshots of the same streams. Increment `schema` whenever the form of
    /// the state changes: snapshots of other versions are not used.
    pub fn new(store: impl SnapshotStore, name: impl Into<String>, schema: u32) -> Self {
        Self { store: Arc::new(store), name: name.into(), schema, every: 100 }
    }

    /// Sets after how many events since the last snapshot the next one is made:
    /// 100 by default, at least 1.
    #[must_use]
    pub fn with_every(mut self, events: u64) -> Self {
        self.every = events.max(1);
        self
    }
}

/// Snapshots of one type of state.
#[derive(Clone)]
pub(super) struct TypedSnapshots<S> {
    snapshots: Snapshots,
    encode: fn(&S) -> serde_json::Result<Vec<u8>>,
    decode: fn(&[u8]) -> serde_json::Result<S>,
}

/// A snapshot from the store, decoded but not verified yet.
pub(super) struct LoadedSnapshot<S> {
    pub(super) state: S,
    pub(super) version: Version,
    pub(super) event: EventId,
}

impl<S> TypedSnapshots<S> {
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

    /// Loads the snapshot of a stream; `None` if there is no usable one.
    pub(super) async fn load(&self, stream: &StreamId) -> Option<LoadedSnapshot<S>> {
        let snapshot = match self.snapshots.store.load(&self.key(stream)).await {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                tracing::warn!(%stream, %error, "could not load a snapshot; the stream is read from its first event");
                return None;
            }
        };
        if snapshot.schema != self.snapshots.schema {
            return None;
        }
        let Snapshot { version, event, state, .. } = snapshot;
        let decoded = (self.decode)(&state);
        let unreadable = |error: &_| tracing::warn!(%stream, %error, "could not decode a snapshot; the stream is read from its first event. Was its form changed without a new version?");
        Some(LoadedSnapshot { state: decoded.inspect_err(unreadable).ok()?, version, event })
    }

    /// Whether the next snapshot is due, this many events after the last one.
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
                return tracing::warn!(%stream, %error, "could not encode a state as a snapshot");
            }
        };
        if let Err(error) = saved {
            tracing::warn!(%stream, %error, "could not save a snapshot");
        }
    }

    fn key(&self, stream: &StreamId) -> SnapshotKey {
        SnapshotKey { stream: stream.clone(), name: self.snapshots.name.clone() }
    }
}
