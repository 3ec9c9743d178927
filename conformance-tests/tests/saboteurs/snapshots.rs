use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use downlink::Result;
use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink_conformance_tests::{SnapshotFixture, SnapshotPlace};
use tokio::task::yield_now;

/// The bugs of the broken store of snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotBug {
    // What an executor cannot find out.
    IgnoresTheName,
    KeepsTheFirstState,
    ForgetsTheSchema,
    ForgetsTheTime,
    // What only costs time.
    ForgetsAtReopening,
    IgnoresCase,
    StoresStatesAsText,
    KeepsTheNewest,
    SavesInTwoSteps,
    // The limit.
    IgnoresTheLimit,
    CountsFromTheLimit,
}

/// Makes stores of snapshots with this bug or none.
pub(crate) struct BrokenSnapshots(pub(crate) Option<SnapshotBug>);

#[async_trait]
impl SnapshotFixture for BrokenSnapshots {
    async fn create(&self) -> Result<Box<dyn SnapshotPlace>> {
        Ok(Box::new(Place { bug: self.0, kept: Arc::default() }))
    }
}

#[derive(Clone, Debug)]
struct Place {
    bug: Option<SnapshotBug>,
    kept: Arc<Mutex<HashMap<SnapshotKey, Snapshot>>>,
}

#[async_trait]
impl SnapshotPlace for Place {
    async fn open(&self) -> Result<Arc<dyn SnapshotStore>> {
        if self.bug == Some(SnapshotBug::ForgetsAtReopening) {
            self.kept().clear();
        }
        Ok(Arc::new(self.clone()))
    }
}

impl Place {
    fn kept(&self) -> MutexGuard<'_, HashMap<SnapshotKey, Snapshot>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, key: &SnapshotKey) -> SnapshotKey {
        let SnapshotKey { stream, name } = key.clone();
        let name = match self.bug {
            Some(SnapshotBug::IgnoresTheName) => String::new(),
            Some(SnapshotBug::IgnoresCase) => name.to_lowercase(),
            _ => name,
        };
        SnapshotKey { stream, name }
    }

    /// What is stored in place of a snapshot.
    fn stored(&self, former: Option<&Snapshot>, snapshot: Snapshot) -> Snapshot {
        match (self.bug, former) {
            (Some(SnapshotBug::KeepsTheFirstState), Some(former)) => {
                Snapshot { state: former.state.clone(), ..snapshot }
            }
            (Some(SnapshotBug::ForgetsTheSchema), Some(former)) => {
                Snapshot { schema: former.schema, ..snapshot }
            }
            (Some(SnapshotBug::ForgetsTheTime), Some(former)) => {
                Snapshot { recorded_at: former.recorded_at, ..snapshot }
            }
            (Some(SnapshotBug::KeepsTheNewest), Some(former))
                if former.version > snapshot.version =>
            {
                former.clone()
            }
            (Some(SnapshotBug::StoresStatesAsText), _) => {
                let text = String::from_utf8_lossy(&snapshot.state).into_owned();
                Snapshot { state: Bytes::from(text), ..snapshot }
            }
            _ => snapshot,
        }
    }
}

#[async_trait]
impl SnapshotStore for Place {
    async fn load(&self, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>> {
        let fits = |bytes: usize| match self.bug {
            Some(SnapshotBug::IgnoresTheLimit) => true,
            Some(SnapshotBug::CountsFromTheLimit) => bytes < max_bytes,
            _ => bytes <= max_bytes,
        };
        let found = self.kept().get(&self.key(key)).cloned();
        Ok(found.filter(|found| fits(found.state.len())))
    }

    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()> {
        let key = self.key(key);
        if self.bug == Some(SnapshotBug::SavesInTwoSteps) {
            let state = snapshot.state.clone();
            self.kept().entry(key.clone()).or_insert_with(|| snapshot.clone()).state = state;
            yield_now().await;
            let mut kept = self.kept();
            let state = kept[&key].state.clone();
            kept.insert(key, Snapshot { state, ..snapshot });
            return Ok(());
        }
        let mut kept = self.kept();
        let stored = self.stored(kept.get(&key), snapshot);
        kept.insert(key, stored);
        Ok(())
    }
}
