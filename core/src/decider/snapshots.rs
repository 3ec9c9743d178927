use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::bounded_json::to_bounded_vec;
use super::{Snapshot, SnapshotKey, SnapshotStore};
use crate::event::{Event, Timestamp};
use crate::id::{EventId, StreamId, Version};

/// How long after a warning about a large state the next one comes.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// The snapshots of an [`Executor`](crate::Executor): where they are stored,
/// their schema version, how large they may be, and how often one is made.
///
/// Useful for streams of hundreds of events and more. A snapshot is saved after
/// the append and before the command returns, so its store should be fast. The
/// stores of logs are stores of snapshots, too:
/// `Snapshots::new(store.clone(), "Flight", 1)` keeps them beside the events.
#[derive(Clone, Debug)]
pub struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    name: String,
    schema: u32,
    every: u64,
    max_bytes: usize,
}

impl Snapshots {
    /// Creates snapshots in this store. The name distinguishes them from other
    /// snapshots of the same streams. Increment `schema` whenever the form of
    /// the state changes, or what [`evolve`](crate::Decider::evolve) makes of
    /// the events: snapshots of other versions are not used, and are replaced
    /// when the next one is due.
    pub fn new(store: impl SnapshotStore, name: impl Into<String>, schema: u32) -> Self {
        let (store, name) = (Arc::new(store), name.into());
        Self { store, name, schema, every: 100, max_bytes: 1 << 20 }
    }

    /// Sets after how many events since the last snapshot the next one is made:
    /// 100 by default, at least 1.
    #[must_use]
    pub fn with_every(mut self, events: u64) -> Self {
        self.every = events.max(1);
        self
    }

    /// Sets how many bytes of JSON a state may have: 1 MiB by default. A larger
    /// one is neither saved, which a warning reports at most once a minute, nor
    /// loaded.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// Snapshots of one type of state.
#[derive(Clone)]
pub(super) struct TypedSnapshots<S> {
    snapshots: Snapshots,
    warned: Arc<Mutex<Option<Instant>>>,
    encode: fn(&S, usize) -> serde_json::Result<Option<Vec<u8>>>,
    decode: fn(&[u8]) -> serde_json::Result<S>,
}

/// A snapshot from the store, decoded but not verified yet.
pub(super) struct LoadedSnapshot<S> {
    /// `None` if it has another schema version.
    pub(super) state: Option<S>,
    pub(super) version: Version,
    pub(super) event: EventId,
    pub(super) recorded_at: Timestamp,
}

impl<S> TypedSnapshots<S> {
    pub(super) fn new(snapshots: Snapshots) -> Self
    where
        S: Serialize + DeserializeOwned,
    {
        Self {
            snapshots,
            warned: Arc::default(),
            encode: to_bounded_vec,
            decode: |bytes| serde_json::from_slice(bytes),
        }
    }

    /// Loads the snapshot of a stream; `None` if there is none that can be
    /// read.
    pub(super) async fn load(&self, stream: &StreamId) -> Option<LoadedSnapshot<S>> {
        let Snapshots { store, schema, max_bytes, .. } = &self.snapshots;
        let snapshot = match store.load(&self.key(stream), *max_bytes).await {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                warn!(%stream, %error, "could not load a snapshot; the stream is read from its first event");
                return None;
            }
        };
        let Snapshot { version, event, recorded_at, state, .. } = snapshot;
        if snapshot.schema != *schema {
            return Some(LoadedSnapshot { state: None, version, event, recorded_at });
        }
        let unreadable = |error: &_| warn!(%stream, %error, "could not decode a snapshot; the stream is read from its first event. Was its form changed without a new version?");
        let state = (self.decode)(&state).inspect_err(unreadable).ok()?;
        Some(LoadedSnapshot { state: Some(state), version, event, recorded_at })
    }

    /// Whether the next snapshot is due, this many events after the last one.
    pub(super) fn is_due(&self, events: u64) -> bool {
        events >= self.snapshots.every
    }

    /// Saves the state after this event.
    pub(super) async fn save(&self, last: &Event, state: &S) {
        let stream = last.stream();
        let Snapshots { store, schema, max_bytes, .. } = &self.snapshots;
        let state = match (self.encode)(state, *max_bytes) {
            Ok(Some(state)) => state.into(),
            Ok(None) => return self.warn_of_size(stream),
            Err(error) => return warn!(%stream, %error, "could not encode a state as a snapshot"),
        };
        let snapshot = Snapshot {
            schema: *schema,
            version: last.version(),
            event: last.id(),
            recorded_at: last.recorded_at(),
            state,
        };
        if let Err(error) = store.save(&self.key(stream), snapshot).await {
            warn!(%stream, %error, "could not save a snapshot");
        }
    }

    fn warn_of_size(&self, stream: &StreamId) {
        let now = Instant::now();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|warned| now.duration_since(warned) >= BETWEEN_WARNINGS) {
            *warned = Some(now);
            let (name, max_bytes) = (&self.snapshots.name, self.snapshots.max_bytes);
            warn!(%stream, name, max_bytes, "a state is too large for a snapshot, so its stream is read from the first event: keep less in the state, split the stream, or raise Snapshots::with_max_bytes. Others may be too large, too; the next warning comes in a minute at the earliest");
        }
    }

    fn key(&self, stream: &StreamId) -> SnapshotKey {
        SnapshotKey { stream: stream.clone(), name: self.snapshots.name.clone() }
    }
}
