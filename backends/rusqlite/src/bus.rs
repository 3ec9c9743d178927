use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Error, ErrorKind, LocalBus, Result};
use downlink_sqlite_schema::{BusOptions, DATA_VERSION, Lookout, absolute};
use tokio::sync::oneshot;

use crate::connection::{Current, Role, Slot};
use crate::error::failed;
use crate::reader::{panicked, spawn};
use crate::snapshot::head;
use crate::store::File;

/// Wakes those who follow a log in a SQLite file, also when another process has
/// appended.
///
/// SQLite tells nobody that somebody wrote. A thread of the bus asks for it
/// ([`DATA_VERSION`]) on a connection of its own: a thousand times a second while others
/// write, forty times when nobody does ([`BusOptions::with_pauses`]). What this
/// process publishes comes at once.
///
/// A handle: clones share the thread and its connection, so open one for each
/// file in a process. When the last clone is dropped, the thread and the
/// listeners end.
///
/// # When the file changes
///
/// If the path names another file, or none, listeners get a hint, and another
/// when there is one again. Meanwhile the bus looks on at its longest pause,
/// and logs the first failure only.
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
    /// A bus for the log in this file, which has to be there: open the store
    /// first. Uses the defaults of [`BusOptions`].
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) if the file is no log, or has another name (see
    ///   [`Options::open`](crate::Options::open));
    /// - [`Unavailable`](ErrorKind::Unavailable) if it is not there or cannot be opened;
    /// - [`Busy`](ErrorKind::Busy) if another program keeps all others out;
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
        let path = absolute(path.as_ref())?;
        let local = LocalBus::new();
        let poller = if options.is_polling() {
            let file = File::existing(path);
            file.check_names()?;
            let poller = Poller {
                slot: Slot::new(Arc::new(file), Role::Reader),
                lookout: Lookout::new(options),
                local: local.clone(),
            };
            Some(poller.start().await?)
        } else {
            None
        };
        let (local, poller) = (RwLock::new(Some(local)), Mutex::new(poller));
        Ok(Self { shared: Arc::new(Shared { local, poller }) })
    }

    /// Ends the thread and all listeners, and returns when the file is closed.
    /// Later calls, also of other clones, are `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the bus; its thread ends by itself.
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

/// What the thread does.
struct Poller {
    slot: Slot,
    lookout: Lookout,
    local: LocalBus,
}

impl Poller {
    /// Starts the thread and returns when it has looked once.
    async fn start(mut self) -> Result<Polling> {
        let (stop, stopping) = bounded(0);
        let (opened, is_open) = oneshot::channel();
        let thread = spawn("downlink-bus", move || {
            let first = self.look();
            let is_open = first.is_ok();
            // Whoever has stopped waiting for the bus has dropped `stop`, too.
            let _ = opened.send(first);
            if is_open {
                self.serve(&stopping);
            }
        })?;
        let gone = || Error::new(ErrorKind::Unavailable, "the thread of the bus ended");
        is_open.await.map_err(|_| gone())??;
        Ok(Polling { _stop: stop, thread })
    }

    fn serve(&mut self, stopping: &Receiver<Infallible>) {
        while stopping.recv_timeout(self.lookout.pause()) == Err(RecvTimeoutError::Timeout) {
            let looked = catch_unwind(AssertUnwindSafe(|| self.look()));
            if let Err(error) = looked.unwrap_or_else(|_| Err(panicked("looked at the file"))) {
                self.slot.close();
                if self.lookout.failed() {
                    tracing::warn!(%error, "the bus cannot look at the file: it tries on");
                    self.local.wake(Hint::anything());
                }
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        let Current { connection, is_new } = self.slot.current()?;
        let version = connection
            .own()
            .prepare_cached(DATA_VERSION)
            .and_then(|mut statement| statement.query_row((), |row| row.get(0)))
            .map_err(failed("look for what others have written"))?;
        if self.lookout.saw(version, is_new)
            && let Some(hint) = self.lookout.hint(head(connection.own())?)
        {
            self.local.wake(hint);
        }
        Ok(())
    }
}
