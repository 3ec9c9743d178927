use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shared::Shared;
use super::{Subscribe, Subscription};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::id::Position;
use crate::store::{Page, ReadLog};

/// A handle for tasks that follow the log while the hub runs. It does not keep
/// the hub alive, so that dropping the last hub handle ends the task.
#[derive(Clone, Debug)]
pub(crate) struct HubLink {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

impl HubLink {
    pub(super) fn new(shared: Arc<Shared>, tasks: TaskTracker) -> Self {
        Self { shared, tasks }
    }

    /// Spawns a task that the hub's shutdown waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Cancelled when the hub is shut down.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    /// A subscription that only matching events wake.
    pub(crate) async fn subscribe_matching(self, subscribe: Subscribe) -> Result<Subscription> {
        Subscription::open(self.shared, subscribe).await
    }

    /// Waits for hints of the bus.
    pub(crate) fn hints(&self) -> Hints {
        Hints(self.shared.hints.subscribe())
    }

    /// Tells other processes that a read model has moved to this position.
    pub(crate) fn hint(&self, position: Position) {
        self.shared.pending_hint.stored(position);
    }

    /// A subscription that is woken by every event.
    pub(crate) async fn subscribe(self, subscribe: Subscribe) -> Result<Subscription> {
        Ok(Subscription::open(self.shared, subscribe).await?.woken_by_all())
    }

    pub(crate) fn cached_head(&self) -> Cursor {
        self.shared.tip()
    }

    pub(crate) async fn head(self) -> Result<Cursor> {
        self.shared.store.head().await
    }

    pub(crate) async fn read_log(self, read: ReadLog) -> Result<Page> {
        self.shared.store.read_log(read).await
    }
}

/// Wakes when the bus has hinted at something.
#[derive(Debug)]
pub(crate) struct Hints(watch::Receiver<()>);

impl Hints {
    /// Waits for a hint after the last call.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
