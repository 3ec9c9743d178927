use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use downlink::commit::Commits;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, EventStore, Result};
use downlink_conformance_tests::{Guard, StoreFixture};
use downlink_postgres::PostgresStore;

use crate::server::{Server, fresh_schema, options};

/// Two stores on one log, as in two processes, between which calls alternate. If a
/// store relies on its own cache or works without the lock, a law fails.
pub(crate) struct Pair;

#[derive(Debug)]
struct Two {
    stores: [PostgresStore; 2],
    calls: AtomicUsize,
}

impl Two {
    fn next(&self) -> &PostgresStore {
        &self.stores[self.calls.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl StoreFixture for Pair {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        let (schema, url) = (fresh_schema(), Server::get().url());
        let (one, other) =
            tokio::try_join!(options(&schema).connect(&url), options(&schema).connect(&url))?;
        let two = Two { stores: [one, other], calls: AtomicUsize::new(0) };
        Ok((Arc::new(two), Guard::none()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Two {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.next().append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.next().read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.next().read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.next().head().await
    }

    /// Neither store reports all commits.
    fn commits(&self) -> Option<Commits> {
        None
    }
}
