use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::commit::{Commits, Ending, Writer};
use downlink::{Append, Appended, Cursor, EventStore, Page, Read, Result};
use downlink_sqlite_schema::{self as schema, DatabaseFile, FileOptions, OpenFile};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::driver::Driver;
use crate::guard::Guard;
use crate::postings::indexed_and_head;
use crate::reader::Readers;
use crate::snapshot::head;
use crate::tx::Tx;
use crate::verify::{VerifyReport, verify_file};

/// How a [`SqlxStore`] is opened.
pub type Options = schema::Options<SqlxStore>;

/// What the application does with each new connection; see
/// [`Options::with_on_connect`].
pub type OnConnect =
    Arc<dyn for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, sqlx::Result<()>> + Send + Sync>;

/// The file of a store.
pub(crate) type File = DatabaseFile<SqlxStore>;

/// A log in one SQLite file.
///
/// A handle: clones share the file, its connections and its queue. When the
/// last clone is dropped, what waits in the queue is still stored, and the tasks
/// end by themselves; [`close`](Self::close) waits for that.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink::{EventStoreExt, Expected, NewEvent};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("flights.db");
/// let store = downlink_sqlx::open(path).await?;
/// let departed = NewEvent::with_json("FlightDeparted", r#"{"gate":"C71"}"#)?;
/// store.append_to("flight-UA1545", Expected::NoStream, [departed]).await?;
/// store.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SqlxStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: Arc<File>,
    writer: Writer<Driver>,
    /// That of the connection that writes.
    guard: Guard,
    readers: Readers,
    tasks: TaskTracker,
}

/// Opens the log in this file, or makes an empty one, with the defaults of
/// [`Options`].
///
/// # Errors
///
/// As [`Options::open`].
///
/// # Cancel safety
///
/// As [`Options::open`].
pub async fn open(path: impl AsRef<Path>) -> Result<SqlxStore> {
    Options::new().open(path).await
}

impl OpenFile for SqlxStore {
    type OnConnect = OnConnect;

    async fn open_file(file: File) -> Result<Self> {
        let file = Arc::new(file);
        let guard = Guard::default();
        let driver = Driver::open(Arc::clone(&file), guard.clone());
        let writer = Writer::start(driver, file.options().writer()).await?;
        let tasks = TaskTracker::new();
        let readers = Readers::new(&file, &Handle::current(), &tasks);
        Ok(Self { shared: Arc::new(Shared { file, writer, guard, readers, tasks }) })
    }
}

impl SqlxStore {
    /// Lets no more calls in, stores what waits, and returns when all tasks
    /// of this store have ended and the file is closed. Later calls, also of
    /// other clones, are `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store; its tasks end by
    /// themselves.
    pub async fn close(&self) {
        self.shared.writer.close();
        self.shared.readers.close().await;
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.writer.closed().await;
    }

    /// Walks through the whole file: SQLite's own check, every event's version,
    /// links, time and content, every stream's head, and the head of the log.
    ///
    /// It reads one snapshot from beginning to end on a connection of its own.
    /// The store serves meanwhile, and its WAL grows until the end.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if the file is too damaged to be walked through;
    /// [`Unavailable`](downlink::ErrorKind::Unavailable), [`Busy`](downlink::ErrorKind::Busy) and
    /// [`Backend`](downlink::ErrorKind::Backend).
    ///
    /// # Cancel safety
    ///
    /// Has no effects; the walk goes on to its end unseen.
    pub async fn verify(&self) -> Result<VerifyReport> {
        verify_file(Arc::clone(&self.shared.file)).await
    }

    /// How many events the index of types and tags is behind the log: a figure
    /// for your metrics. Reads with a filter scan those.
    ///
    /// It is seldom much above [`Options::with_index_lag`], and never for long: the
    /// writer brings the index up to date whenever nobody waits, for a tenth of
    /// its time otherwise, and before any append once a million events are missing.
    ///
    /// # Errors
    ///
    /// As [`EventStore::head`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn index_lag(&self) -> Result<u64> {
        let (indexed, head) =
            self.shared.readers.serve(|connection, _| indexed_and_head(connection).boxed()).await?;
        Ok(u64::try_from(head - indexed).unwrap_or(0))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.file.path()
    }

    /// How it was opened.
    pub fn options(&self) -> &FileOptions {
        self.shared.file.options()
    }

    /// Reads something else than events, by one statement.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.shared.readers.serve(|connection, _| work(connection)).await
    }

    /// Runs `work` in a transaction of its own, when its turn in the queue of
    /// appends has come.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<Ending<T>>> + Send + 'static,
    ) -> Result<T> {
        self.shared.writer.run(bytes, work).await
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.shared.file
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.shared.readers
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.shared.guard
    }
}

#[async_trait]
impl EventStore for SqlxStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.shared.writer.append(append, self).await
    }

    async fn read(&self, read: Read) -> Result<Page> {
        self.shared.readers.page(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        let head = self.ask(|connection| head(connection).boxed()).await?;
        Ok(head.cursor())
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.shared.writer.commits())
    }
}
