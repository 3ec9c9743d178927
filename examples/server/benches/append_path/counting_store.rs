use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, EventStore, Result};

/// A store that counts reads of the log.
#[derive(Clone, Debug)]
pub(crate) struct CountingStore {
    store: Arc<dyn EventStore>,
    reads: Arc<AtomicU64>,
}

impl CountingStore {
    pub(crate) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, reads: Arc::default() }
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for CountingStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.store.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.count();
        self.store.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.count();
        self.store.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.count();
        self.store.head().await
    }

    fn commits(&self) -> Option<downlink::commit::Commits> {
        self.store.commits()
    }
}
