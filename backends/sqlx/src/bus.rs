use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Error, ErrorKind, LocalBus, Result};
use downlink_sqlite_schema::{BusOptions, DATA_VERSION, Lookout, absolute};
use futures::FutureExt;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::{Current, Role, Slot};
use crate::error::failed;
use crate::reader::panicked;
use crate::snapshot::head;
use crate::store::File;

/// Wakes those who follow a log in a SQLite file, also when another process has
/// appended.
///
/// SQLite tells nobody that somebody wrote. A task of the bus asks for it
/// ([`DATA_VERSION`]) on a connection of its own: a thousand times a second while others
/// write, forty times when nobody does ([`BusOptions::with_pauses`]). What this
/// process publishes comes at once.
///
/// A handle: clones share the task and its connection, so open one for each
/// file in a process. When the last clone is dropped, the task and the
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
/// use downlink_sqlx::SqlxBus;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("flights.db");
/// let store = downlink_sqlx::open(&path).await?;
/// let bus = SqlxBus::open(&path).await?;
/// let hub = Hub::builder(store, bus).start().await?;
/// # hub.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SqlxBus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None` once the bus is closed.
    local: RwLock<Option<LocalBus>>,
    stop: DropGuard,
    tasks: TaskTracker,
}

impl SqlxBus {
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
    /// Dropping the future leaves no task behind.
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
        let (local, tasks) = (LocalBus::new(), TaskTracker::new());
        let stop = CancellationToken::new().drop_guard();
        if options.is_polling() {
            let file = File::existing(path);
            file.check_names()?;
            let mut poller = Poller {
                slot: Slot::new(Arc::new(file), Role::Reader),
                lookout: Lookout::new(options),
                local: local.clone(),
            };
            poller.look().await?;
            let stopped = stop.token().clone();
            tasks.spawn(async move {
                stopped.run_until_cancelled(poller.serve()).await;
                poller.slot.close().await;
            });
        }
        let local = RwLock::new(Some(local));
        Ok(Self { shared: Arc::new(Shared { local, stop, tasks }) })
    }

    /// Ends the task and all listeners, and returns when the file is closed.
    /// Later calls, also of other clones, are `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the bus; its task ends by itself.
    pub async fn close(&self) {
        *self.shared.local.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.stop.token().cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn local(&self) -> Result<LocalBus> {
        let local = self.shared.local.read().unwrap_or_else(PoisonError::into_inner);
        local.clone().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the bus is closed"))
    }
}

#[async_trait]
impl Bus for SqlxBus {
    async fn publish(&self, hint: Hint) -> Result<()> {
        self.local()?.publish(hint).await
    }

    async fn listen(&self) -> Result<Listener> {
        self.local()?.listen().await
    }
}

/// What the task does.
struct Poller {
    slot: Slot,
    lookout: Lookout,
    local: LocalBus,
}

impl Poller {
    async fn serve(&mut self) {
        loop {
            sleep(self.lookout.pause()).await;
            let looked = AssertUnwindSafe(self.look()).catch_unwind().await;
            if let Err(error) = looked.unwrap_or_else(|_| Err(panicked("looked at the file"))) {
                self.slot.close().await;
                if self.lookout.failed() {
                    tracing::warn!(%error, "the bus cannot look at the file: it tries on");
                    self.local.wake(Hint::anything());
                }
            }
        }
    }

    async fn look(&mut self) -> Result<()> {
        let Current { connection, is_new } = self.slot.current().await?;
        let version = sqlx::query_scalar(DATA_VERSION)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed("look for what others have written"))?;
        if self.lookout.saw(version, is_new)
            && let Some(hint) = self.lookout.hint(head(connection).await?)
        {
            self.local.wake(hint);
        }
        Ok(())
    }
}
