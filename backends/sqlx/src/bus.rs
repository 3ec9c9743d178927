use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use downlink::bus::{Hint, Listener};
use downlink::{Bus, Error, ErrorKind, LocalBus, Result};
use downlink_sqlite_schema::{BusOptions, DATA_VERSION, PollSchedule, absolute_path};
use futures::FutureExt;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::{Current, LazyConnection, Role};
use crate::error::{failed, panicked};
use crate::file::File;
use crate::snapshot::head;

/// A bus that notifies subscribers of a log in a SQLite file, also when another process has
/// appended.
///
/// SQLite does not notify a process of the writes of others. A task of the bus polls
/// ([`DATA_VERSION`]) on a connection of its own: a thousand times a second while other
/// processes write, forty times a second otherwise ([`BusOptions::with_pauses`]). Hints that
/// this process publishes arrive at once.
///
/// A handle: clones share the task and its connection, so open one for each
/// file in a process. When the last clone is dropped, the task and the
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
    /// Opens a bus for the log in this file, which must exist: open the store first. Uses
    /// the defaults of [`BusOptions`].
    ///
    /// # Errors
    ///
    /// - [`Invalid`](ErrorKind::Invalid) if the file has no log, or has another name (see
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
        let path = absolute_path(path.as_ref())?;
        let (local, tasks) = (LocalBus::new(), TaskTracker::new());
        let stop = CancellationToken::new().drop_guard();
        if options.is_polling() {
            let file = File::existing(path);
            file.check_aliases()?;
            let mut poller = Poller {
                connection: LazyConnection::new(Arc::new(file), Role::Reader),
                schedule: PollSchedule::new(options),
                local: local.clone(),
            };
            poller.poll().await?;
            let stopped = stop.token().clone();
            tasks.spawn(async move {
                stopped.run_until_cancelled(poller.serve()).await;
                poller.connection.close().await;
            });
        }
        let local = RwLock::new(Some(local));
        Ok(Self { shared: Arc::new(Shared { local, stop, tasks }) })
    }

    /// Ends the task and all listeners, and returns when the file is closed. Later calls,
    /// also on other clones, fail with `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the bus; its task still ends.
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

/// The work of the task.
struct Poller {
    connection: LazyConnection,
    schedule: PollSchedule,
    local: LocalBus,
}

impl Poller {
    async fn serve(&mut self) {
        loop {
            sleep(self.schedule.pause()).await;
            let polled = AssertUnwindSafe(self.poll()).catch_unwind().await;
            if let Err(error) = polled.unwrap_or_else(|_| Err(panicked("polled the file"))) {
                self.connection.close().await;
                if self.schedule.record_failure() {
                    tracing::warn!(%error, "the bus could not poll the file: retrying");
                    self.local.wake(Hint::anything());
                }
            }
        }
    }

    async fn poll(&mut self) -> Result<()> {
        let Current { connection, is_new } = self.connection.current().await?;
        let version = sqlx::query_scalar(DATA_VERSION)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed("poll the file"))?;
        if self.schedule.record_version(version, is_new)
            && let Some(hint) = self.schedule.record_head(head(connection).await?)
        {
            self.local.wake(hint);
        }
        Ok(())
    }
}
