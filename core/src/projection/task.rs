use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::batch::Bounds;
use super::command::{Command, Wish};
use super::gathering::Reach;
use super::interruption::{Interruption, Outcome};
use super::target::Target;
use super::{FailurePolicy, Progress, Status, Step};
use crate::hub::{HubLink, Retries};
use crate::supervise::{logged, unwound};
use crate::{Cursor, Error, Event, Subscribe, Subscription};

/// What is done once for each event of a live read model.
pub(super) type After = Box<dyn Fn(Vec<Event>) -> BoxFuture<'static, ()> + Send + Sync>;

/// The one task of a projection: nobody else moves its checkpoint in this
/// process, so nothing of what it tells has to be taken back.
pub(super) struct Task {
    pub(super) target: Arc<dyn Target>,
    pub(super) hub: HubLink,
    pub(super) policy: FailurePolicy,
    pub(super) bounds: Bounds,
    pub(super) after: Option<After>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) progress: watch::Sender<Progress>,
    /// Cancelled when the projection or its hub is shut down.
    pub(super) stop: CancellationToken,
    /// Whether the read model has reached the end of the log since it began or
    /// was reset.
    pub(super) is_built: bool,
}

/// Begins again no later after a panic.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs until the hub is shut down or the last handle is gone.
pub(super) async fn run(mut task: Task) {
    let stop = task.stop.clone();
    stop.run_until_cancelled(task.serve()).await;
    task.tell(Status::Ended);
}

impl Task {
    async fn serve(&mut self) {
        let mut retries = Retries::up_to(LONGEST_PAUSE);
        let mut interruption = self.until_interrupted().await;
        loop {
            match interruption {
                Interruption::Elsewhere => {}
                Interruption::End => return,
                Interruption::Panicked(error) => {
                    let pause = retries.after(&error).unwrap_or(LONGEST_PAUSE);
                    self.tell(Status::Retrying(error));
                    if let Err(again) = self.wait(pause).await {
                        interruption = again;
                        continue;
                    }
                }
                Interruption::Failed(error) => {
                    let id = self.target.id();
                    logged(|| warn!(projection = %id, %error, "a projection has stopped"));
                    self.tell(Status::Stopped(error));
                    if self.idle(false).await.is_none() {
                        return;
                    }
                }
                Interruption::Command(command) => {
                    let pauses = command.wish == Wish::Pause;
                    self.obey(command).await;
                    if pauses && self.idle(true).await.is_none() {
                        return;
                    }
                }
            }
            interruption = self.until_interrupted().await;
        }
    }

    /// Follows the log. A panic, of the store of the read models as of any other
    /// code that it calls, lets it begin again at the stored checkpoint.
    async fn until_interrupted(&mut self) -> Interruption {
        match unwound(self.follow()).await {
            Ok(Err(interruption)) => interruption,
            Err(panic) => {
                let id = self.target.id();
                logged(
                    || error!(projection = %id, error = %panic, "a projection panicked; it goes on"),
                );
                Interruption::Panicked(panic)
            }
        }
    }

    /// Waits until somebody lets it go on; `None` if nobody can any more.
    async fn idle(&mut self, mut is_paused: bool) -> Option<()> {
        loop {
            let command = self.commands.recv().await?;
            let wish = command.wish;
            is_paused |= wish == Wish::Pause;
            self.obey(command).await;
            if wish == Wish::Resume || (wish == Wish::Reset && !is_paused) {
                return Some(());
            }
        }
    }

    /// Whoever gets the answer finds what was wished: nobody who waits after a
    /// resume is told why it had stopped.
    async fn obey(&mut self, Command { wish, answer }: Command) {
        let outcome = match wish {
            Wish::Pause => {
                self.tell(Status::Paused);
                Ok(())
            }
            Wish::Resume => {
                self.tell_behind();
                Ok(())
            }
            Wish::Reset => self.reset().await,
        };
        // Nobody may be waiting any more.
        let _ = answer.send(outcome);
    }

    async fn reset(&mut self) -> crate::Result<()> {
        unwound(async { self.target.reset().await }).await.flatten()?;
        self.is_built = false;
        self.is_at(Cursor::START, Cursor::START);
        let is_paused = matches!(self.progress.borrow().status, Status::Paused);
        if !is_paused {
            self.tell_behind();
        }
        Ok(())
    }

    /// Goes from the stored checkpoint to the end of the log, and on with it.
    async fn follow(&mut self) -> Outcome<Infallible> {
        let checkpoint = self.try_on(|target| target.checkpoint()).await?;
        self.ask_what_is_live().await?;
        let is_in_use = self.live() >= Some(self.target.id().version());
        self.is_built = checkpoint != Cursor::START && (self.is_built || is_in_use);
        self.is_at(checkpoint, checkpoint);
        self.tell_behind();
        self.announce_missing().await?;
        if checkpoint == Cursor::START {
            // Queries find its tables also if nothing ever happens.
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
        let subscribe = Subscribe::new().after(checkpoint).filter(self.target.filter());
        let hub = self.hub.clone();
        let opened = self.try_on(move |_| hub.clone().subscribe(subscribe.clone()).boxed()).await;
        opened.map_err(|interruption| match interruption {
            Interruption::Failed(error) if error.is_other_history() => {
                let id = self.target.id();
                let message = format!(
                    "the checkpoint {checkpoint} of projection {id} is not of this log: reset the projection"
                );
                Interruption::Failed(Error::with_source(error.kind(), message, error))
            }
            other => other,
        })
    }

    async fn reached_the_head(&mut self) -> Outcome<()> {
        if self.live() < Some(self.target.id().version()) {
            let live = self.try_on(|target| target.make_live()).await?;
            self.progress.send_modify(|progress| progress.live = Some(live));
            info!(projection = %self.target.id(), live, "a read model is complete");
            self.announce_missing().await?;
        }
        self.is_built = true;
        self.tell(Status::CaughtUp);
        Ok(())
    }

    pub(super) async fn ask_what_is_live(&mut self) -> Outcome<()> {
        let live = self.try_on(|target| target.live()).await?;
        self.progress.send_modify(|progress| progress.live = live);
        Ok(())
    }

    /// Repeats what fails for a passing reason, until a command comes.
    pub(super) async fn try_on<T>(
        &mut self,
        mut attempt: impl FnMut(&dyn Target) -> BoxFuture<'_, crate::Result<T>> + Send,
    ) -> Outcome<T> {
        let mut retries = Retries::new();
        let mut was_telling = None;
        loop {
            let error = match attempt(&*self.target).await {
                Ok(value) => {
                    if let Some(status) = was_telling {
                        self.tell(status);
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            let Some(pause) = retries.after(&error) else {
                return Err(Interruption::Failed(error));
            };
            let id = self.target.id();
            logged(|| warn!(projection = %id, %error, "a projection tries again"));
            let before = self.tell(Status::Retrying(error));
            was_telling.get_or_insert(before);
            self.wait(pause).await?;
        }
    }

    pub(super) async fn wait(&mut self, pause: Duration) -> Outcome<()> {
        tokio::select! {
            command = self.commands.recv() => {
                Err(command.map_or(Interruption::End, Interruption::Command))
            }
            () = sleep(pause) => Ok(()),
        }
    }

    /// The version that queries read, as far as it is known.
    pub(super) fn live(&self) -> Option<u32> {
        self.progress.borrow().live
    }

    pub(super) fn checkpoint(&self) -> Cursor {
        self.progress.borrow().checkpoint
    }

    pub(super) fn is_at(&self, checkpoint: Cursor, position: Cursor) {
        self.progress.send_if_modified(|progress| {
            let is_new = (progress.checkpoint, progress.position) != (checkpoint, position);
            (progress.checkpoint, progress.position) = (checkpoint, position);
            is_new
        });
    }

    pub(super) fn tell_behind(&self) {
        self.tell(if self.is_built { Status::CatchingUp } else { Status::Rebuilding });
    }

    /// Tells what it is doing, and returns what it told before.
    pub(super) fn tell(&self, status: Status) -> Status {
        let mut before = status;
        self.progress.send_modify(|progress| std::mem::swap(&mut progress.status, &mut before));
        before
    }
}
