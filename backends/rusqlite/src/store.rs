use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use crossbeam_channel::bounded;
use downlink::commit::{Commits, Ending, Transacted, Writer};
use downlink::store::{Appended, Import, ImportStore, Moved, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, Error, ErrorKind, EventStore, Result};
use downlink_sqlite_schema::{self as schema, FileOptions, OpenFile};
use futures::FutureExt;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::driver::Driver;
use crate::file::{File, OnConnect};
use crate::moved;
use crate::postings::indexed_and_head;
use crate::readers::Readers;
use crate::thread::spawn;
use crate::transaction::Transaction;
use crate::tx::Tx;
use crate::verify::{VerifyReport, verify_file};

/// Options for opening a [`RusqliteStore`].
pub type Options = schema::Options<RusqliteStore>;

/// A log in one SQLite file.
///
/// A handle: clones share the file, its threads and its queue. When the last clone is
/// dropped, queued appends are still stored, and the threads end by themselves;
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
/// let store = downlink_rusqlite::open(path).await?;
/// let departed = NewEvent::json("FlightDeparted", r#"{"gate":"C71"}"#)?;
/// store.append_to("flight-UA1545", Expected::NoStream, [departed]).await?;
/// store.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RusqliteStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: Arc<File>,
    writer: Writer<Driver>,
    readers: Readers,
    threads: Mutex<Vec<JoinHandle<()>>>,
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
pub async fn open(path: impl AsRef<Path>) -> Result<RusqliteStore> {
    Options::new().open(path).await
}

impl OpenFile for RusqliteStore {
    type OnConnect = OnConnect;

    async fn open_file(file: File) -> Result<Self> {
        let file = Arc::new(file);
        // Each reader holds a sender until its connection is closed.
        let (alive, ended) = bounded(0);
        let driver = {
            let file = Arc::clone(&file);
            async move { Driver::open(file, ended) }
        };
        let writer = Writer::start(driver, file.options().writer()).await?;
        let (readers, threads) = Readers::start(&file, &alive)?;
        let threads = Mutex::new(threads);
        Ok(Self { shared: Arc::new(Shared { file, writer, readers, threads }) })
    }
}

impl RusqliteStore {
    /// Accepts no more calls, stores queued appends, and returns when all threads of this
    /// store have ended and the file is closed. Later calls, also on other clones, fail with
    /// `Unavailable`.
    ///
    /// The connection that writes is closed last and moves the WAL into the database: if no
    /// other program has the file open, the database file alone is the log then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store; its threads still end.
    pub async fn close(&self) {
        self.shared.writer.close();
        self.shared.readers.close();
        let threads = std::mem::take(
            &mut *self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner),
        );
        let (ended, all_ended) = oneshot::channel();
        let wait = move || {
            for thread in threads {
                drop(thread.join());
            }
            let _ = ended.send(());
        };
        if spawn("downlink-close", wait).is_ok() {
            let _ = all_ended.await;
        }
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
        let (deleted, outcome) = oneshot::channel();
        spawn("downlink-delete", move || drop(deleted.send(schema::delete_files(&path))))?;
        outcome.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Backend, "deleting the file has panicked"))
        })
    }

    /// Verifies the whole file: SQLite's own check, every event's version, links, time and
    /// content, every stream's head, and the head of the log.
    ///
    /// It reads one snapshot from beginning to end on a connection of its own. The store
    /// stays usable, and its WAL grows until the end.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if the file is too damaged to be read;
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
        let (indexed, head) = self.snapshot(indexed_and_head).await?;
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

    /// Reads something other than events, in one snapshot.
    pub(crate) async fn snapshot<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.shared.readers.snapshot(move |snapshot| work(snapshot.connection)).await
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.shared.file
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.shared.readers
    }

    /// Runs `work` in a transaction of its own, in its turn in the queue of appends.
    pub(crate) async fn write<T, F>(&self, bytes: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx) -> Result<Ending<T>> + Send + 'static,
    {
        self.shared.writer.run(bytes, |tx| std::future::ready(work(tx)).boxed()).await
    }

    /// Runs `work` once in a transaction of its own: what it writes to the application's
    /// tables and what it [appends](Transaction::append) is stored together or not at all. It
    /// waits for its turn among the appends and runs on the thread that writes, so it should
    /// only use SQLite.
    ///
    /// An error, a panic and a failed commit leave neither rows nor events. If `work` appends
    /// events that were stored before, all of its work was done before: it is rolled back, and
    /// the result is [`Transacted::Duplicate`]. A commit without a certain outcome is resolved
    /// by the ids of the events. SQLite interrupts work that takes longer than
    /// [`Options::with_transaction_deadline`], five seconds by default; the call then fails
    /// with [`Unavailable`](downlink::ErrorKind::Unavailable).
    ///
    /// # Errors
    ///
    /// The error of `work`; [`Invalid`](downlink::ErrorKind::Invalid) if it is called from inside another
    /// transaction of this store; [`Overloaded`](downlink::ErrorKind::Overloaded), [`Busy`](downlink::ErrorKind::Busy),
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
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("flights.db");
    /// let store = downlink_rusqlite::open(path).await?;
    /// let taken: Transacted<()> = store
    ///     .transact(|tx| {
    ///         tx.rows()?.execute_batch("CREATE TABLE IF NOT EXISTS gates (gate TEXT, flight TEXT)")?;
    ///         tx.rows()?.execute("INSERT INTO gates VALUES ('C71', 'UA1545')", ())?;
    ///         let taken = NewEvent::json("GateTaken", r#"{"gate":"C71"}"#)?;
    ///         tx.append(Append::to("flight-UA1545", Expected::Any, [taken])?)?;
    ///         Ok::<(), BoxError>(())
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
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let deadline = self.options().writer().transaction_deadline();
        let run = self.shared.writer.transact(0, move |transaction| {
            let ending = match Transaction::new(transaction).run(deadline, work) {
                Ok(value) => Ending::Commit(Ok(value)),
                Err(error) => Ending::RollBack(Err(error)),
            };
            std::future::ready(Ok(ending)).boxed()
        });
        Ok(match run.await? {
            Transacted::Committed(outcome) => Transacted::Committed(outcome?),
            Transacted::Duplicate(original) => Transacted::Duplicate(original),
        })
    }
}

#[async_trait]
impl EventStore for RusqliteStore {
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
        self.shared.readers.snapshot(|snapshot| Ok(snapshot.head.cursor())).await
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.shared.writer.commits())
    }
}

#[async_trait]
impl ImportStore for RusqliteStore {
    async fn import(&self, import: Import) -> Result<Cursor> {
        self.shared.writer.import(import).await
    }

    async fn moved(&self) -> Result<Vec<Moved>> {
        self.snapshot(moved::all).await
    }
}
