use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use downlink::{
    Append, Appended, Check, Cursor, Error, ErrorKind, EventStore, Filter, Page, Read, Result,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::connection::Place;
use crate::guard::Guard;
use crate::own_transaction::End;
use crate::queue::{Entrance, Entry, Errand, Scan, queue};
use crate::reader::{Readers, closed, page_of};
use crate::snapshot::head;
use crate::transaction::first_match;
use crate::verify::{VerifyReport, verify};
use crate::writer::Writer;
use crate::{Options, Tx};

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
    place: Arc<Place>,
    appends: Entrance,
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

impl SqlxStore {
    pub(crate) async fn start(path: PathBuf, options: Options) -> Result<Self> {
        let (appends, exit) = queue(options.queue(), options.group_events(), options.linger());
        let place = Arc::new(Place::new(path, options));
        let (runtime, tasks) = (Handle::current(), TaskTracker::new());
        let (opened, is_open) = oneshot::channel();
        tasks.spawn(Writer::serve(Arc::clone(&place), exit, opened));
        is_open.await.map_err(|_| closed())??;
        let readers = Readers::new(&place, runtime, tasks.clone());
        Ok(Self { shared: Arc::new(Shared { place, appends, readers, tasks }) })
    }

    /// Lets no more calls in, stores what waits, and returns when all tasks
    /// of this store have ended and the file is closed. Later calls, also of
    /// other clones, are `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store; its tasks end by
    /// themselves.
    pub async fn close(&self) {
        self.shared.appends.close();
        self.shared.readers.close().await;
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Walks through the whole file: SQLite's own check, every event's version,
    /// links, time and content, every stream's head, and the head of the log.
    ///
    /// It reads one snapshot from beginning to end on a connection of its own.
    /// The store serves meanwhile, and its WAL grows until the end.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the file is too damaged to be walked through;
    /// [`Unavailable`](ErrorKind::Unavailable), [`Busy`](ErrorKind::Busy) and
    /// [`Backend`](ErrorKind::Backend).
    ///
    /// # Cancel safety
    ///
    /// Has no effects; the walk goes on to its end unseen.
    pub async fn verify(&self) -> Result<VerifyReport> {
        verify(self.path()).await
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.place.path()
    }

    /// How it was opened.
    pub fn options(&self) -> &Options {
        self.shared.place.options()
    }

    /// Reads something else than events, by one statement.
    pub(crate) async fn query<T: Send + 'static>(
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
        work: impl for<'a> FnOnce(&'a mut Tx, &'a Guard) -> BoxFuture<'a, Result<End<T>>>
        + Send
        + 'static,
    ) -> Result<T> {
        let ticket = self.shared.appends.enter(bytes)?;
        let (answer, answered) = oneshot::channel();
        let errand: Errand = Box::new(move |writer| {
            async move {
                let outcome = writer.transact(Box::new(work)).await;
                drop(ticket);
                // Nobody may be waiting any more.
                let _ = answer.send(outcome);
            }
            .boxed()
        });
        self.shared.appends.send(Entry::Errand(errand))?;
        answered.await.map_err(|_| {
            let message = "the writer ended before it answered: repeat it to find out";
            Error::new(ErrorKind::OutcomeUnknown, message)
        })?
    }

    /// Looks at boundaries before the append is queued, so that its
    /// transaction only looks at what came later.
    async fn scan(&self, append: &Append) -> Result<Vec<Scan>> {
        let mut scans = Vec::new();
        for check in &append.checks {
            if let Check::NothingAfter(filter, after) = check {
                scans.push(self.scan_boundary(filter, *after).await?);
            }
        }
        Ok(scans)
    }

    async fn scan_boundary(&self, filter: &Filter, mut after: Cursor) -> Result<Scan> {
        loop {
            let page = match self.read(first_match(filter, after)).await {
                Ok(page) => page,
                // The transaction looks again, and tells.
                Err(error) if error.is_other_history() => return Ok(Scan::NotYet),
                Err(error) => return Err(error),
            };
            if let Some(event) = page.events.first() {
                return Ok(Scan::Found(event.cursor()));
            }
            if !page.more {
                return Ok(Scan::ClearUpTo(page.scanned));
            }
            after = page.scanned;
        }
    }
}

#[async_trait]
impl EventStore for SqlxStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let scans = if append.checks.is_empty() { Vec::new() } else { self.scan(&append).await? };
        let answered = self.shared.appends.queue(append, scans)?;
        answered.await.map_err(|_| {
            let message =
                "the writer ended before it answered: repeat the append with the same event ids";
            Error::new(ErrorKind::OutcomeUnknown, message)
        })?
    }

    async fn read(&self, read: Read) -> Result<Page> {
        let readers = &self.shared.readers;
        readers
            .serve(|connection, names| {
                async move { page_of(connection, names, &read).await }.boxed()
            })
            .await
    }

    async fn head(&self) -> Result<Cursor> {
        let head = self.query(|connection| head(connection).boxed()).await?;
        Ok(head.cursor())
    }
}
