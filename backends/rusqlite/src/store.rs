use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use downlink::{
    Append, Appended, Check, Cursor, Error, ErrorKind, EventStore, Filter, Page, Read, Result,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::connection::Place;
use crate::own_transaction::End;
use crate::queue::{Entrance, Entry, Scan, queue};
use crate::reader::{Readers, closed, page, spawn};
use crate::transaction::first_match;
use crate::verify::{VerifyReport, verify};
use crate::writer::Writer;
use crate::{Options, Tx};

/// A log in one SQLite file.
///
/// A handle: clones share the file, its threads and its queue. When the last
/// clone is dropped, what waits in the queue is still stored, and the threads
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
/// let store = downlink_rusqlite::open(path).await?;
/// let departed = NewEvent::with_json("FlightDeparted", r#"{"gate":"C71"}"#)?;
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
    place: Arc<Place>,
    appends: Entrance,
    readers: Readers,
    threads: Mutex<Vec<JoinHandle<()>>>,
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
pub async fn open(path: impl AsRef<Path>) -> Result<RusqliteStore> {
    Options::new().open(path).await
}

impl RusqliteStore {
    pub(crate) async fn start(path: PathBuf, options: Options) -> Result<Self> {
        let (appends, exit) = queue(options.queue(), options.group_events(), options.linger());
        let place = Arc::new(Place::new(path, options));
        let (opened, is_open) = oneshot::channel();
        let writing = spawn("downlink-writer", {
            let place = Arc::clone(&place);
            move || Writer::serve(place, exit, opened)
        })?;
        is_open.await.map_err(|_| closed())??;
        let (readers, mut threads) = Readers::start(&place)?;
        threads.push(writing);
        let threads = Mutex::new(threads);
        Ok(Self { shared: Arc::new(Shared { place, appends, readers, threads }) })
    }

    /// Lets no more calls in, stores what waits, and returns when all threads
    /// of this store have ended and the file is closed. Later calls, also of
    /// other clones, are `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store; its threads end by
    /// themselves.
    pub async fn close(&self) {
        self.shared.appends.close();
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

    /// Reads something else than events, in one snapshot.
    pub(crate) async fn snapshot<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.shared.readers.snapshot(move |snapshot| work(snapshot.connection)).await
    }

    /// Runs `work` in a transaction of its own, when its turn in the queue of
    /// appends has come.
    pub(crate) async fn write<T, F>(&self, bytes: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx) -> Result<End<T>> + Send + 'static,
    {
        let ticket = self.shared.appends.enter(bytes)?;
        let (answer, answered) = oneshot::channel();
        let errand = move |writer: &mut Writer| {
            let outcome = writer.transact(work);
            drop(ticket);
            // Nobody may be waiting any more.
            let _ = answer.send(outcome);
        };
        self.shared.appends.send(Entry::Errand(Box::new(errand)))?;
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
impl EventStore for RusqliteStore {
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
        self.shared.readers.snapshot(move |snapshot| page(snapshot, &read)).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.shared.readers.snapshot(|snapshot| Ok(snapshot.head.cursor())).await
    }
}
