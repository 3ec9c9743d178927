use std::sync::Arc;

use async_trait::async_trait;
use downlink::commit::{Commits, Writer};
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, EventStore, Result};
use tokio::runtime::Handle;

use crate::connection::Server;
use crate::driver::Driver;
use crate::options::Options;
use crate::readers::Readers;

/// A log in one schema of a PostgreSQL database.
///
/// A handle: clones share the connections and the queue. When the last clone is dropped, queued
/// appends are still stored, and the tasks end by themselves; [`close`](Self::close) waits for
/// that.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: Writer<Driver>,
    readers: Readers,
}

impl Options {
    /// Connects to the database of this URL, `postgres://user@host/database`,
    /// and creates an empty log in the schema if there is none.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) if the URL or the name of the schema is
    /// not valid; [`Unavailable`](downlink::ErrorKind::Unavailable) if the connection fails or is
    /// refused; [`Corrupt`](downlink::ErrorKind::Corrupt) if the schema has a log of another
    /// release; [`Backend`](downlink::ErrorKind::Backend) for a database that is not in UTF-8.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running.
    pub async fn connect(self, url: &str) -> Result<PostgresStore> {
        self.check_schema()?;
        PostgresStore::open(url, self).await
    }
}

impl PostgresStore {
    /// Connects with the defaults of [`Options`].
    ///
    /// # Errors
    ///
    /// As [`Options::connect`].
    ///
    /// # Panics
    ///
    /// As [`Options::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`Options::connect`].
    pub async fn connect(url: &str) -> Result<Self> {
        Options::new().connect(url).await
    }

    pub(crate) async fn open(url: &str, options: Options) -> Result<Self> {
        let server = Server::new(url, options.schema(), options.step_deadline())?;
        let server = Arc::new(server);
        let writer = Writer::start(Driver::open(Arc::clone(&server)), options.writer()).await?;
        let readers = Readers::new(&server, options.readers(), &Handle::current());
        Ok(Self { shared: Arc::new(Shared { writer, readers }) })
    }

    /// Accepts no more calls, stores queued appends, and returns when the idle connections and
    /// the one that writes are closed. Later calls, also on other clones, fail with
    /// `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store.
    pub async fn close(&self) {
        self.shared.writer.close();
        self.shared.readers.close().await;
        self.shared.writer.shutdown().await;
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.shared.writer.append(append, self).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.shared.readers.log_page(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.shared.readers.stream_page(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.shared.readers.head().await
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.shared.writer.commits())
    }
}
