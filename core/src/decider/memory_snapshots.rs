use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Snapshot, SnapshotKey, SnapshotStore};
use crate::error::Result;

/// Keeps snapshots of a bounded number of streams in memory.
///
/// Clones share the snapshots. When it is full, a new snapshot replaces an
/// arbitrary other one.
#[derive(Clone)]
pub struct MemorySnapshots {
    kept: Arc<Mutex<HashMap<SnapshotKey, Snapshot>>>,
    capacity: usize,
}

impl MemorySnapshots {
    /// Creates a store for up to 10,000 snapshots.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(10_000)
    }

    /// Creates a store for up to this many snapshots.
    #[must_use]
    pub fn with_capacity(snapshots: usize) -> Self {
        Self { kept: Arc::default(), capacity: snapshots }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<SnapshotKey, Snapshot>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemorySnapshots {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SnapshotStore for MemorySnapshots {
    async fn load(&self, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>> {
        let kept = self.kept();
        Ok(kept.get(key).filter(|kept| kept.state.len() <= max_bytes).cloned())
    }

    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()> {
        let mut kept = self.kept();
        if kept.len() >= self.capacity && !kept.contains_key(key) {
            let Some(other) = kept.keys().next().cloned() else { return Ok(()) };
            kept.remove(&other);
        }
        kept.insert(key.clone(), snapshot);
        Ok(())
    }
}

impl fmt::Debug for MemorySnapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySnapshots")
            .field("kept", &self.kept().len())
            .field("capacity", &self.capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::Timestamp;
    use crate::id::{EventId, StreamId, Version};

    fn key(number: u32) -> SnapshotKey {
        let stream = StreamId::new(format!("flight-UA{number}")).unwrap();
        SnapshotKey { stream, name: "Flight".into() }
    }

    #[tokio::test]
    async fn the_number_of_snapshots_is_bounded() {
        let event = EventId::now();
        let state = Bytes::from_static(b"1");
        let recorded_at = Timestamp::EPOCH;
        let snapshot = Snapshot { schema: 1, version: Version::FIRST, event, recorded_at, state };
        let snapshots = MemorySnapshots::with_capacity(2);
        for number in [1, 2, 2, 3] {
            snapshots.save(&key(number), snapshot.clone()).await.unwrap();
        }
        assert_eq!(snapshots.kept().len(), 2);
        assert_eq!(snapshots.load(&key(3), usize::MAX).await.unwrap(), Some(snapshot.clone()));

        let none = MemorySnapshots::with_capacity(0);
        none.save(&key(1), snapshot).await.unwrap();
        assert_eq!(none.load(&key(1), usize::MAX).await.unwrap(), None);
    }
}
