//! Runs the conformance suite on the store: a fixture and three lines.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::{Bus, Error, ErrorKind, EventStore, LocalBus, Result};
use downlink_conformance_tests::{BusFixture, DurableFixture, DurableLog, Guard, StoreFixture};
use own_backend::FileStore;
use tempfile::TempDir;

// ANCHOR: fixture
/// Opens logs in temporary folders.
struct OwnBackend;

#[async_trait]
impl StoreFixture for OwnBackend {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        let (folder, file) = folder()?;
        Ok((Arc::new(FileStore::open(file).await?), Guard::new(folder)))
    }
}

#[async_trait]
impl DurableFixture for OwnBackend {
    async fn create(&self) -> Result<Box<dyn DurableLog>> {
        let (folder, file) = folder()?;
        Ok(Box::new(InFolder { file, _folder: folder }))
    }
}

struct InFolder {
    file: PathBuf,
    _folder: TempDir,
}

#[async_trait]
impl DurableLog for InFolder {
    async fn open(&self) -> Result<Arc<dyn EventStore>> {
        Ok(Arc::new(FileStore::open(&self.file).await?))
    }
}
// ANCHOR_END: fixture

#[async_trait]
impl BusFixture for OwnBackend {
    async fn open(&self, _: &Guard) -> Result<Arc<dyn Bus>> {
        Ok(Arc::new(LocalBus::new()))
    }
}

fn folder() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir().map_err(|error| {
        Error::with_source(ErrorKind::Backend, "cannot create a folder for the log", error)
    })?;
    let file = folder.path().join("flights.log");
    Ok((folder, file))
}

// ANCHOR: laws
downlink_conformance_tests::event_store!(OwnBackend);
downlink_conformance_tests::durable_store!(OwnBackend);
downlink_conformance_tests::subscription!(OwnBackend, OwnBackend);
// ANCHOR_END: laws
