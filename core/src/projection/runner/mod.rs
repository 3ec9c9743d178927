//! The task of a projection: reads the log in batches, applies them, and keeps
//! the progress that the handle shows.

mod announce;
mod apply;
mod batch;
mod bisect;
mod command;
mod gather;
mod lease_keeper;
mod stand_by;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(super) use self::batch::BatchLimits;
use self::batch::Reach;
pub(super) use self::command::{Command, CommandRequest, QUEUE};
use self::command::{Interruption, Outcome};
pub(super) use self::lease_keeper::LeaseKeeper;
use super::{FailurePolicy, Progress, Projection, ProjectionStore, Status, Step};
use crate::backoff::Backoff;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::hub::{HubLink, Subscribe, Subscription};
use crate::id::ProjectionId;
use crate::store::Read;
use crate::supervise::{logged, unwound};

/// The application's function for applied events; see
/// [`ProjectionBuilder::on_applied`](super::ProjectionBuilder::on_applied).
pub(super) type OnApplied = Box<dyn Fn(Vec<Event>) -> BoxFuture<'static, ()> + Send + Sync>;

/// Drives one projection, or waits while another worker has its lease.
pub(super) struct Runner<Tx: ?Sized> {
    pub(super) id: ProjectionId,
    pub(super) projection: Arc<dyn Projection<Tx = Tx>>,
    pub(super) store: Arc<dyn ProjectionStore<Tx = Tx>>,
    pub(super) hub: HubLink,
    pub(super) policy: FailurePolicy,
    pub(super) limits: BatchLimits,
    pub(super) on_applied: Option<OnApplied>,
    pub(super) commands: mpsc::Receiver<CommandRequest>,
    pub(super) progress: watch::Sender<Progress>,
    /// Cancelled when the projection or its hub is shut down.
    pub(super) stop: CancellationToken,
    /// Whether the read model has reached the end of the log since it began or
    /// was reset.
    pub(super) is_built: bool,
    pub(super) keeper: Arc<LeaseKeeper<Tx>>,
}

/// The longest pause after a panic.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs until the hub is shut down or the last handle is dropped.
pub(super) async fn run<Tx: ?Sized + Send + 'static>(mut runner: Runner<Tx>) {
    let stop = runner.stop.clone();
    stop.run_until_cancelled(runner.serve()).await;
    runner.keeper.release().await;
    runner.set_status(Status::Ended);
}

impl<Tx: ?Sized + Send + 'static> Runner<Tx> {
    async fn serve(&mut self) {
        let mut backoff = Backoff::up_to(LONGEST_PAUSE);
        let mut interruption = self.until_interrupted().await;
        loop {
            match interruption {
                Interruption::Restart => {}
                Interruption::End => return,
                Interruption::Panicked(error) => {
                    let pause = backoff.pause_after(&error).unwrap_or(LONGEST_PAUSE);
                    self.set_status(Status::Retrying(error));
                    if let Err(again) = self.wait(pause).await {
                        interruption = again;
                        continue;
                    }
                }
                Interruption::Failed(error) => {
                    logged(|| warn!(projection = %self.id, %error, "a projection has stopped"));
                    self.set_status(Status::Failed(error));
                    self.keeper.release().await;
                    if self.idle(false).await.is_none() {
                        return;
                    }
                }
                Interruption::Command(request) => {
                    let pauses = request.command == Command::Pause;
                    self.execute(request).await;
                    if pauses && self.idle(true).await.is_none() {
                        return;
                    }
                }
            }
            interruption = self.until_interrupted().await;
        }
    }

    /// Follows the log until it is interrupted, and keeps the lease meanwhile. After a panic of
    /// any code that it calls, it starts again at the stored checkpoint.
    async fn until_interrupted(&mut self) -> Interruption {
        let keeper = Arc::clone(&self.keeper);
        let followed = tokio::select! {
            biased;
            followed = unwound(self.follow()) => followed,
            never = keeper.keep() => match never {},
        };
        match followed {
            Ok(Err(interruption)) => interruption,
            Err(panic) => {
                let id = &self.id;
                logged(
                    || error!(projection = %id, error = %panic, "a projection panicked; it starts again"),
                );
                Interruption::Panicked(panic)
            }
        }
    }

    /// Waits for the command to continue; `None` if there is no handle left.
    async fn idle(&mut self, mut is_paused: bool) -> Option<()> {
        loop {
            let request = self.commands.recv().await?;
            let command = request.command;
            is_paused |= command == Command::Pause;
            self.execute(request).await;
            if command == Command::Resume || (command == Command::Reset && !is_paused) {
                return Some(());
            }
        }
    }

    /// Executes a command. The status changes before the reply is sent, so that
    /// a caller that waits after [`Command::Resume`] does not see the old
    /// error.
    async fn execute(&mut self, CommandRequest { command, answer }: CommandRequest) {
        let outcome = match command {
            Command::Pause => {
                self.set_status(Status::Paused);
                self.keeper.release().await;
                Ok(())
            }
            Command::Resume => {
                self.set_behind();
                Ok(())
            }
            Command::Reset => self.reset().await,
        };
        // The caller may have stopped waiting.
        let _ = answer.send(outcome);
    }

    async fn reset(&mut self) -> Result<()> {
        unwound(async { self.store.reset(&self.projection).await }).await.flatten()?;
        self.is_built = false;
        self.is_at(Cursor::START, Cursor::START);
        let is_paused = matches!(self.progress.borrow().status, Status::Paused);
        if !is_paused {
            self.set_behind();
        }
        Ok(())
    }

    /// Follows the log from the stored checkpoint, once it may.
    async fn follow(&mut self) -> Outcome<Infallible> {
        self.hold_lease().await?;
        let checkpoint = self.retry(|runner| runner.store.checkpoint(&runner.id)).await?;
        self.read_live_version().await?;
        let is_in_use = self.live() >= Some(self.id.version());
        self.is_built = (self.is_built || is_in_use) && !self.was_reset(checkpoint).await?;
        self.is_at(checkpoint, checkpoint);
        self.set_behind();
        // After the status says the same, which was not known while another worker had the lease.
        self.set_rebuilt_elsewhere(false);
        self.announce_missing().await?;
        if checkpoint == Cursor::START {
            // Creates the tables for queries even if no event matches.
            let prepared = self.step(Step::new(checkpoint, checkpoint, Vec::new())).await?;
            prepared.map_err(|error| self.gives_up(None, error))?;
        }
        let mut subscription = self.subscribe(checkpoint).await?;
        let mut reach = Reach::Behind;
        loop {
            let batch = self.gather(&mut subscription, &mut reach).await?;
            let was_reached = batch.is_at_head;
            self.write(batch).await?;
            if was_reached {
                self.reached_the_head().await?;
            }
        }
    }

    async fn subscribe(&mut self, checkpoint: Cursor) -> Outcome<Subscription> {
        let subscribe =
            Subscribe::new().with_after(checkpoint).with_filter(self.projection.filter());
        let hub = self.hub.clone();
        // The hub translates a client's cursor of a moved log, but the rows would be of that log.
        let opened = match self.read(Read::log().with_after(checkpoint).with_limit(0)).await {
            Ok(_) => self.retry(move |_| hub.clone().subscribe(subscribe.clone()).boxed()).await,
            Err(error) => Err(error),
        };
        opened.map_err(|interruption| match interruption {
            Interruption::Failed(error) if error.is_other_history() => {
                let id = &self.id;
                let message = format!(
                    "the checkpoint {checkpoint} of projection {id} does not belong to this log: reset the projection"
                );
                Interruption::Failed(Error::with_source(error.kind(), message, error))
            }
            other => other,
        })
    }

    async fn reached_the_head(&mut self) -> Outcome<()> {
        if self.live() < Some(self.id.version()) {
            let live = self.retry(|runner| runner.store.make_live(&runner.id)).await?;
            self.becomes_live(live);
            info!(projection = %self.id, live, "a read model is complete");
            self.announce_missing().await?;
        }
        self.is_built = true;
        self.set_status(Status::CaughtUp);
        Ok(())
    }

    /// Shows the live version and that this one is complete at once: a query that is asked after
    /// [`wait_live`](super::ProjectionHandle::wait_live) must not be refused as too early.
    fn becomes_live(&mut self, live: u32) {
        self.is_built = true;
        self.progress.send_modify(|progress| {
            progress.live = Some(live);
            progress.status = Status::CatchingUp;
        });
    }

    /// Whether a model that is complete has lost what it contained, and has not got it back. One
    /// that is at the start of a log which had no events before has lost nothing.
    async fn was_reset(&mut self, checkpoint: Cursor) -> Outcome<bool> {
        let announced = self.retry(|runner| runner.store.announced(&runner.id)).await?;
        Ok(match announced {
            Some(announced) => checkpoint.position() < announced.position(),
            None => checkpoint == Cursor::START,
        })
    }

    async fn read_live_version(&mut self) -> Outcome<()> {
        let live = self.retry(|runner| runner.store.live(runner.id.name())).await?;
        self.progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.live, live) != live);
        Ok(())
    }

    /// Retries after transient errors, until a command is received.
    async fn retry<T>(
        &mut self,
        mut attempt: impl FnMut(&Self) -> BoxFuture<'_, Result<T>> + Send,
    ) -> Outcome<T> {
        let mut backoff = Backoff::up_to(LONGEST_PAUSE);
        let mut status_before = None;
        loop {
            let error = match attempt(self).await {
                Ok(value) => {
                    if let Some(status) = status_before {
                        self.set_status(status);
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            let Some(pause) = backoff.pause_after(&error) else {
                return Err(Interruption::Failed(error));
            };
            logged(|| warn!(projection = %self.id, %error, "a projection failed; retrying"));
            let before = self.set_status(Status::Retrying(error));
            status_before.get_or_insert(before);
            self.wait(pause).await?;
        }
    }

    async fn wait(&mut self, pause: Duration) -> Outcome<()> {
        tokio::select! {
            () = self.keeper.lost() => Err(Interruption::Restart),
            command = self.commands.recv() => {
                Err(command.map_or(Interruption::End, Interruption::Command))
            }
            () = sleep(pause) => Ok(()),
        }
    }

    /// The version that queries should read, as far as is known.
    fn live(&self) -> Option<u32> {
        self.progress.borrow().live
    }

    fn checkpoint(&self) -> Cursor {
        self.progress.borrow().checkpoint
    }

    fn is_at(&self, checkpoint: Cursor, position: Cursor) {
        self.progress.send_if_modified(|progress| {
            let is_new = (progress.checkpoint, progress.position) != (checkpoint, position);
            (progress.checkpoint, progress.position) = (checkpoint, position);
            is_new
        });
    }

    fn set_behind(&self) {
        self.set_status(if self.is_built { Status::CatchingUp } else { Status::Rebuilding });
    }

    /// Sets the status and returns the one before.
    fn set_status(&self, status: Status) -> Status {
        let mut before = status;
        self.progress.send_modify(|progress| std::mem::swap(&mut progress.status, &mut before));
        before
    }
}
