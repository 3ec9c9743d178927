use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use downlink::memory::MemoryStore;
use downlink::{Bus, EventStore, Result};
use downlink_conformance_tests::{BusFixture, Guard, StoreFixture};
use downlink_nats::NatsBus;

use crate::server::Server;

/// A log in memory.
pub(crate) struct Memory;

#[async_trait]
impl StoreFixture for Memory {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        Ok((Arc::new(MemoryStore::new()), Guard::none()))
    }
}

/// A subject of its own on the server that the tests share.
pub(crate) struct Nats;

static SUBJECTS: AtomicU64 = AtomicU64::new(0);

#[async_trait]
impl BusFixture for Nats {
    async fn open(&self, _: &Guard) -> Result<Arc<dyn Bus>> {
        let subject = format!("log.{}", SUBJECTS.fetch_add(1, Ordering::Relaxed));
        Ok(Arc::new(NatsBus::connect(&Server::shared().url(), &subject).await?))
    }
}
