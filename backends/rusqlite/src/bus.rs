use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Error, ErrorKind, LocalBus, Result};
use downlink_sqlite_schema::{BusOptions, DATA_VERSION, PollSchedule, absolute_path};
use tokio::sync::oneshot;

use crate::connection::{Current, LazyConnection, Role};
use crate::error::{failed, panicked};
use crate::file::File;
use crate::snapshot::head;
use crate::thread::spawn;

/// A bus that notifies subscribers of a log in a SQLite file, also when another process has
/// appended.
///
/// SQLite does not notify a process of the writes of others. A thread of the bus polls
/// ([`DATA_VERSION`]) on a connection of its own: a thousand times a second while other
/// processes write, forty times a second otherwise ([`BusOptions::with_pauses`]). Hints that
/// this process publishes arrive at once.
///
/// A handle: clones share the thread and its connection, so open one for each
/// file in a process. When the last clone is dropped, the thread and the
/// listeners end.
///
/// # When the file changes
///
/// If the path names another file, or none, listeners get a hint, and another one when there
/// is a file again. In between, the bus polls with its longest pause and logs only the first
/// failure.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink::Hub;
/// use downlink_rusqlite::RusqliteBus;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("flights.db");
/// let store = downlink_rusqlite::open(&path).await?;
/// let bus = RusqliteBus::open(&path).await?;
/// let hub = Hub::builder(store, bus).start().await?;
/// # hub.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RusqliteBus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None` once the bus is closed.
    local: RwLock<Option<LocalBus>>,
    poller: Mutex<Option<Polling>>,
}

/// A thread that ends when this is dropped.
#[derive(Debug)]
struct Polling {
    _stop: Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl RusqliteBus {
    /// Opens a bus for the log in this file, which must exist: open the store first. Uses
    /// the defaults of [`BusOptions`].
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) if the file has no log, or has another name (see
    ///   [`Options::open`](crate::Options::open));
    /// - [`Unavailable`](ErrorKind::Unavailable) if it does not exist or cannot be opened;
    /// - [`Busy`](ErrorKind::Busy) if another program has an exclusive lock on it;
    /// - [`Corrupt`](ErrorKind::Corrupt) if it is not a SQLite database.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no thread behind.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, BusOptions::new()).await
    }

    /// As [`open`](Self::open), with these options.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Self::open).
    pub async fn open_with(path: impl AsRef<Path>, options: BusOptions) -> Result<Self> {
        let path = absolute_path(path.as_ref())?;
        let local = LocalBus::new();
        let poller = if options.is_polling() {
            let file = File::existing(path);
            file.check_aliases()?;
            let poller = Poller {
                connection: LazyConnection::new(Arc::new(file), Role::Reader),
                schedule: PollSchedule::new(options),
                local: local.clone(),
            };
            Some(poller.start().await?)
        } else {
            None
        };
        let (local, poller) = (RwLock::new(Some(local)), Mutex::new(poller));
        Ok(Self { shared: Arc::new(Shared { local, poller }) })
    }

    /// Ends the thread and all listeners, and returns when the file is closed. Later calls,
    /// also on other clones, fail with `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the bus; its thread still ends.
    pub async fn close(&self) {
        *self.shared.local.write().unwrap_or_else(PoisonError::into_inner) = None;
        let poller = self.shared.poller.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Polling { _stop: stop, thread }) = poller else { return };
        drop(stop);
        let (ended, has_ended) = oneshot::channel();
        let wait = move || {
            drop(thread.join());
            let _ = ended.send(());
        };
        if spawn("downlink-close", wait).is_ok() {
            let _ = has_ended.await;
        }
    }

    fn local(&self) -> Result<LocalBus> {
        let local = self.shared.local.read().unwrap_or_else(PoisonError::into_inner);
        local.clone().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the bus is closed"))
    }
}

#[async_trait]
impl Bus for RusqliteBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        self.local()?.publish(hint).await
    }

    async fn listen(&self) -> Result<Listener> {
        self.local()?.listen().await
    }
}

/// The work of the thread.
struct Poller {
    connection: LazyConnection,
    schedule: PollSchedule,
    local: LocalBus,
}

impl Poller {
    /// Starts the thread and returns after its first poll.
    async fn start(mut self) -> Result<Polling> {
        let (stop, stopping) = bounded(0);
        let (opened, is_open) = oneshot::channel();
        let thread = spawn("downlink-bus", move || {
            let first = self.poll();
            let is_open = first.is_ok();
            // A caller that stops waiting for the bus drops `stop`, too.
            let _ = opened.send(first);
            if is_open {
                self.serve(&stopping);
            }
        })?;
        let ended = || Error::new(ErrorKind::Unavailable, "the thread of the bus ended");
        is_open.await.map_err(|_| ended())??;
        Ok(Polling { _stop: stop, thread })
    }

    fn serve(&mut self, stopping: &Receiver<Infallible>) {
        while stopping.recv_timeout(self.schedule.pause()) == Err(RecvTimeoutError::Timeout) {
            let polled = catch_unwind(AssertUnwindSafe(|| self.poll()));
            if let Err(error) = polled.unwrap_or_else(|_| Err(panicked("polled the file"))) {
                self.connection.close();
                if self.schedule.record_failure() {
                    tracing::warn!(%error, "the bus could not poll the file: retrying");
                    self.local.wake(Hint::anything());
                }
            }
        }
    }

    fn poll(&mut self) -> Result<()> {
        let Current { tx, is_new } = self.connection.current()?;
        let version = tx
            .raw()
            .prepare_cached(DATA_VERSION)
            .and_then(|mut statement| statement.query_row((), |row| row.get(0)))
            .map_err(failed("poll the file"))?;
        if self.schedule.record_version(version, is_new)
            && let Some(hint) = self.schedule.record_head(head(tx.raw())?)
        {
            self.local.wake(hint);
        }
        Ok(())
    }
}
