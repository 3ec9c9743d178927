use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::commit::{Commits, Ending, Transacted, Writer};
use downlink::store::{Appended, Import, ImportStore, Moved, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, Error, ErrorKind, EventStore, Result};
use downlink_sqlite_schema::{self as schema, FileOptions, OpenFile};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::driver::Driver;
use crate::file::{File, OnConnect};
use crate::guard::LogGuard;
use crate::moved;
use crate::postings::indexed_and_head;
use crate::readers::Readers;
use crate::snapshot::head;
use crate::transaction::Transaction;
use crate::tx::Tx;
use crate::verify::{VerifyReport, verify_file};

/// Options for opening a [`SqlxStore`].
pub type Options = schema::Options<SqlxStore>;

/// A log in one SQLite file.
///
/// A handle: clones share the file, its connections and its queue. When the last clone is
/// dropped, queued appends are still stored, and the tasks end by themselves;
/// [`close`](Self::close) waits for that.
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
/// let departed = NewEvent::json("FlightDeparted", r#"{"gate":"C71"}"#)?;
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
    /// The guard of the connection that writes.
    guard: LogGuard,
    readers: Readers,
    tasks: TaskTracker,
    /// Lets the writer close. The last field, so that it is dropped after the others.
    readers_closed: DropGuard,
}

/// Opens the log in this file, or creates an empty one, with the defaults of [`Options`].
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
        let guard = LogGuard::default();
        let readers_closed = CancellationToken::new();
        let driver = Driver::open(Arc::clone(&file), guard.clone(), readers_closed.clone());
        let readers_closed = readers_closed.drop_guard();
        let writer = Writer::start(driver, file.options().writer()).await?;
        let tasks = TaskTracker::new();
        let readers = Readers::new(&file, &Handle::current(), &tasks);
        Ok(Self {
            shared: Arc::new(Shared { file, writer, guard, readers, tasks, readers_closed }),
        })
    }
}

impl SqlxStore {
    /// Accepts no more calls, stores queued appends, and returns when all tasks of this store
    /// have ended and the file is closed. Later calls, also on other clones, fail with
    /// `Unavailable`.
    ///
    /// The connection that writes is closed last and moves the WAL into the database: if no
    /// other program has the file open, the database file alone is the log then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store; its tasks still end.
    pub async fn close(&self) {
        self.shared.writer.close();
        self.shared.readers.close().await;
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.readers_closed.token().cancel();
        self.shared.writer.shutdown().await;
    }

    /// Closes the log and deletes its file, with what belongs to it: a log that other stores or processes have open
    /// is lost for them, too.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](downlink::ErrorKind::Unavailable) if a file cannot be deleted.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the log is deleted, closed, or still being closed.
    pub async fn delete(self) -> Result<()> {
        self.close().await;
        let path = self.path().to_owned();
        let deleted = tokio::task::spawn_blocking(move || schema::delete_files(&path));
        let failed =
            |error| Error::with_source(ErrorKind::Backend, "deleting the file has panicked", error);
        deleted.await.map_err(failed)?
    }

    /// Verifies the whole file: SQLite's own check, every event's version, links, time and
    /// content, every stream's head, and the head of the log.
    ///
    /// It reads one snapshot from beginning to end on a connection of its own. The store
    /// stays usable, and its WAL grows until the end.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if the file is too damaged to be walked through;
    /// [`Unavailable`](downlink::ErrorKind::Unavailable), [`Busy`](downlink::ErrorKind::Busy) and
    /// [`Backend`](downlink::ErrorKind::Backend).
    ///
    /// # Cancel safety
    ///
    /// Has no effects; verifying continues to its end in the background.
    pub async fn verify(&self) -> Result<VerifyReport> {
        verify_file(Arc::clone(&self.shared.file)).await
    }

    /// How many events the index of types and tags lags behind the log: a value for your
    /// metrics. Reads with a filter scan these events.
    ///
    /// It is seldom much above [`Options::with_index_lag`], and never for long: the writer
    /// brings the index up to date whenever its queue is empty, for a tenth of its time
    /// otherwise, and before any append once a million events are missing.
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

    /// Whether a transaction of the application has passed its deadline and not ended, so
    /// that every append waits for it. It then runs blocking Rust code, which can be neither
    /// dropped nor interrupted: restart the process.
    #[must_use]
    pub fn has_overdue_transaction(&self) -> bool {
        self.shared.writer.has_overdue_transaction()
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.file.path()
    }

    /// The options with which it was opened.
    pub fn options(&self) -> &FileOptions {
        self.shared.file.options()
    }

    /// Reads something other than events, with one statement.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.shared.readers.serve(|connection, _| work(connection)).await
    }

    /// Runs `work` in a transaction of its own, in its turn in the queue of appends.
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

    /// Runs `work` once in a transaction of its own: what it writes to the application's
    /// tables and what it [appends](Transaction::append) is stored together or not at all. It
    /// waits for its turn among the appends, and they wait for it, so it should only await
    /// this transaction.
    ///
    /// An error, a panic and a failed commit leave neither rows nor events. If `work` appends
    /// events that were stored before, all of its work was done before: it is rolled back, and
    /// the result is [`Transacted::Duplicate`]. A commit without a certain outcome is resolved
    /// by the ids of the events. Work that takes longer than
    /// [`Options::with_transaction_deadline`], five seconds by default, is dropped and rolled
    /// back; the call then fails with [`Unavailable`](downlink::ErrorKind::Unavailable).
    ///
    /// # Errors
    ///
    /// The error of `work`; [`Invalid`](downlink::ErrorKind::Invalid) if it is called from inside
    /// another transaction of this store, and if the tables of the log were written to;
    /// [`Overloaded`](downlink::ErrorKind::Overloaded), [`Busy`](downlink::ErrorKind::Busy),
    /// [`StorageFull`](downlink::ErrorKind::StorageFull), [`Unavailable`](downlink::ErrorKind::Unavailable)
    /// and [`Backend`](downlink::ErrorKind::Backend), after which nothing was written;
    /// [`OutcomeUnknown`](downlink::ErrorKind::OutcomeUnknown) if it appended nothing and the
    /// commit ended without a certain outcome.
    ///
    /// # Cancel safety
    ///
    /// Once queued, the transaction runs even if the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> downlink::Result<()> {
    /// use downlink::commit::Transacted;
    /// use downlink::{Append, BoxError, Expected, NewEvent};
    /// use futures::FutureExt;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("flights.db");
    /// let store = downlink_sqlx::open(path).await?;
    /// let taken: Transacted<()> = store
    ///     .transact(|tx| {
    ///         async move {
    ///             let create = "CREATE TABLE IF NOT EXISTS gates (gate TEXT, flight TEXT)";
    ///             sqlx::query(create).execute(tx.rows().await?).await?;
    ///             let insert = "INSERT INTO gates VALUES ('C71', 'UA1545')";
    ///             sqlx::query(insert).execute(tx.rows().await?).await?;
    ///             let taken = NewEvent::json("GateTaken", r#"{"gate":"C71"}"#)?;
    ///             tx.append(Append::to("flight-UA1545", Expected::Any, [taken])?).await?;
    ///             Ok::<(), BoxError>(())
    ///         }
    ///         .boxed()
    ///     })
    ///     .await
    ///     .expect("a free gate");
    /// assert_eq!(taken, Transacted::Committed(()));
    /// # store.close().await;
    /// # Ok(()) }
    /// ```
    pub async fn transact<T, E, F>(&self, work: F) -> Result<Transacted<T>, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Transaction<'_>) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let guard = self.guard().clone();
        let run = self.shared.writer.transact(0, |transaction| {
            async move {
                let mut transaction = Transaction::new(transaction, guard);
                match work(&mut transaction).await {
                    Ok(value) => {
                        transaction.reclaim().await?;
                        Ok(Ending::Commit(Ok(value)))
                    }
                    Err(error) => Ok(Ending::RollBack(Err(error))),
                }
            }
            .boxed()
        });
        Ok(match run.await? {
            Transacted::Committed(outcome) => Transacted::Committed(outcome?),
            Transacted::Duplicate(original) => Transacted::Duplicate(original),
        })
    }

    pub(crate) fn guard(&self) -> &LogGuard {
        &self.shared.guard
    }
}

#[async_trait]
impl EventStore for SqlxStore {
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
        let head = self.ask(|connection| head(connection).boxed()).await?;
        Ok(head.cursor())
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.shared.writer.commits())
    }
}

#[async_trait]
impl ImportStore for SqlxStore {
    async fn import(&self, import: Import) -> Result<Cursor> {
        self.shared.writer.import(import).await
    }

    async fn moved(&self) -> Result<Vec<Moved>> {
        self.ask(|connection| moved::all(connection).boxed()).await
    }
}
