use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use downlink::{EventStore, Result};
use downlink_conformance_tests::{
    Backups, DurableFixture, DurableLog, Guard, ReplaceableFixture, StoreFixture,
};

use crate::store::{BrokenStore, Log};
use crate::store_bug::Bug;

/// Opens stores with this bug or none.
pub(crate) struct Broken(pub(crate) Option<Bug>);

#[async_trait]
impl StoreFixture for Broken {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        Ok((Arc::new(BrokenStore::new(self.0)), Guard::none()))
    }
}

#[async_trait]
impl DurableFixture for Broken {
    async fn create(&self) -> Result<Box<dyn DurableLog>> {
        let (log, opened) = (Arc::default(), Mutex::default());
        Ok(Box::new(Disk { bug: self.0, log, opened }))
    }
}

struct Disk {
    bug: Option<Bug>,
    log: Arc<Mutex<Log>>,
    opened: Mutex<Option<BrokenStore>>,
}

#[async_trait]
impl DurableLog for Disk {
    async fn open(&self) -> Result<Arc<dyn EventStore>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = opened.take() {
            before.close();
        }
        let store = BrokenStore::open(self.bug, Arc::clone(&self.log));
        *opened = Some(store.clone());
        Ok(Arc::new(store))
    }
}

#[async_trait]
impl ReplaceableFixture for Broken {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Box<dyn Backups>)> {
        let store = BrokenStore::new(self.0);
        let disk = Arc::clone(store.disk());
        Ok((Arc::new(store), Box::new(Copies { disk, copy: Mutex::default() })))
    }
}

struct Copies {
    disk: Arc<Mutex<Log>>,
    copy: Mutex<Log>,
}

#[async_trait]
impl Backups for Copies {
    async fn back_up(&self) -> Result<()> {
        let log = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        self.copy.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&log);
        Ok(())
    }

    async fn restore(&self) -> Result<()> {
        let copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        self.disk.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&copy);
        Ok(())
    }
}
