use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::runner::{Command, CommandRequest};
use super::{Progress, Status};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::HubLink;
use crate::id::{Position, ProjectionId};
use crate::projection::DeadLetter;

/// Reads the dead letters of one projection, with its transaction type erased.
pub(super) type ReadDeadLetters =
    Arc<dyn Fn(Position, usize) -> BoxFuture<'static, Result<Vec<DeadLetter>>> + Send + Sync>;

/// A running projection.
///
/// # Contract
///
/// The names in brackets are laws of the conformance suite.
///
/// 1. **Exact.** Whatever is appended concurrently, and however many workers
///    run the same projection, the read model is the fold of the log up to its
///    checkpoint, and of the whole log once the projection is idle
///    \[`a_running_projection_is_exact`\].
/// 2. **A failing event** stops it right before that event, with everything
///    before it applied \[`a_projection_stops_before_a_failing_event`\]; or it
///    alone is skipped \[`only_failing_events_are_skipped`\]; in both
///    cases after as many tries as the policy allows
///    \[`a_failing_event_is_retried_as_configured`\]. If the store is
///    busy or unreachable, the projection waits for it
///    \[`a_projection_waits_for_a_busy_store`\].
/// 3. **Read your writes.** [`wait_for`](Self::wait_for) returns once the read
///    model contains the event, and not before
///    \[`wait_for_returns_when_the_model_has_it`\].
/// 4. **Versions.** A new version is built while the live one keeps running,
///    and replaces it once it has caught up
///    \[`a_new_version_is_built_beside_the_live_one`\]; each event is announced
///    by exactly one version \[`every_event_is_announced_once`\].
/// 5. **Checkpoints move without matches,** so that a restart does not search
///    the log again \[`a_checkpoint_moves_without_matches`\].
/// 6. **A replaced log,** which no longer has the event of the checkpoint,
///    stops the projection \[`another_history_stops_a_projection`\].
/// 7. **A lease.** Of many workers with a
///    [lease](crate::projection::ProjectionBuilder::with_lease) one works, and the others stand by,
///    follow its progress, and take over when it ends
///    \[`one_worker_works_while_others_stand_by`\] or stalls; when that one continues, it makes no
///    step and announces nothing twice \[`a_stalled_worker_is_replaced`\].
///
/// # Clones and handles
///
/// Clones refer to the same projection. It ends when the last handle is
/// dropped, when one is [shut down](Self::shutdown), and when the hub is shut
/// down.
///
/// # Examples
///
/// See [`Hub::project`](crate::Hub::project).
#[derive(Clone)]
#[must_use = "the projection ends when its last handle is dropped"]
pub struct ProjectionHandle {
    pub(super) id: ProjectionId,
    pub(super) dead_letters: ReadDeadLetters,
    pub(super) hub: HubLink,
    pub(super) stop: CancellationToken,
    pub(super) commands: mpsc::Sender<CommandRequest>,
    pub(super) progress: watch::Receiver<Progress>,
}

impl ProjectionHandle {
    /// The id of the read model.
    #[must_use]
    pub fn id(&self) -> &ProjectionId {
        &self.id
    }

    /// How far the projection has got, without reading anything.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { head: self.hub.cached_head(), ..self.progress.borrow().clone() }
    }

    /// A stream of the current progress and of every change, until the
    /// projection ends. Changes between two polls of the stream are merged into
    /// one.
    #[must_use]
    pub fn changes(&self) -> BoxStream<'static, Progress> {
        let (mut progress, hub) = (self.progress.clone(), self.hub.clone());
        progress.mark_changed();
        let next = |(mut progress, hub): (watch::Receiver<Progress>, HubLink)| async move {
            progress.changed().await.ok()?;
            let now = Progress { head: hub.cached_head(), ..progress.borrow_and_update().clone() };
            Some((now, (progress, hub)))
        };
        stream::unfold((progress, hub), next).boxed()
    }

    /// The number of positions between the read model and the end of the log,
    /// which is read from the store now; see [`Progress::lag`].
    ///
    /// # Errors
    ///
    /// As [`EventStore::head`](crate::EventStore::head).
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn lag(&self) -> Result<u64> {
        let head = self.hub.clone().head().await?;
        Ok(Progress { head, ..self.progress.borrow().clone() }.lag())
    }

    /// Waits until the read model contains everything up to `cursor`, for
    /// example before querying it after an append. Keeps waiting while the
    /// projection is paused.
    ///
    /// # Errors
    ///
    /// The error for which the projection has stopped, if it has;
    /// [`Unavailable`](ErrorKind::Unavailable) if it has ended.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(hub: downlink::Hub, board: downlink::ProjectionHandle, departed: downlink::NewEvent) -> downlink::Result<()> {
    /// use std::time::Duration;
    ///
    /// use downlink::Expected;
    /// use tokio::time::timeout;
    ///
    /// let appended = hub.append_to("flight-UA1545", Expected::Exists, [departed]).await?;
    /// match timeout(Duration::from_secs(2), board.wait_for(appended.cursor)).await {
    ///     Ok(outcome) => outcome?,
    ///     Err(_) => println!("the board shows it a little later"),
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(&self, cursor: Cursor) -> Result<()> {
        let position = cursor.position();
        self.until(move |progress| progress.position.position() >= position).await
    }

    /// Waits until this version, or a higher one, is the version that queries
    /// should read.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn wait_live(&self) -> Result<()> {
        let version = self.id().version();
        self.until(move |progress| progress.live >= Some(version)).await
    }

    /// Stops applying events until [`resume`](Self::resume). When this returns,
    /// no step of this worker is in progress. If it had a lease, another worker
    /// takes over: pause all of them to stop the projection.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the projection has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the projection may be paused nevertheless.
    pub async fn pause(&self) -> Result<()> {
        self.send(Command::Pause).await
    }

    /// Continues after a pause, or tries again after the projection has
    /// stopped.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the projection has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the projection may continue nevertheless.
    pub async fn resume(&self) -> Result<()> {
        self.send(Command::Resume).await
    }

    /// Empties the read model, deletes its dead letters, and rebuilds it from
    /// the beginning of the log. Queries see the model grow meanwhile; to avoid
    /// that, build a new version.
    ///
    /// A stopped projection continues; a paused one stays paused. If another
    /// worker has the lease, that one rebuilds the read model: it notices the
    /// reset within a third of the lease's duration.
    ///
    /// # Errors
    ///
    /// As [`ProjectionStore::reset`](crate::projection::ProjectionStore::reset);
    /// [`Unavailable`](ErrorKind::Unavailable) if the projection has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the projection may be reset nevertheless.
    pub async fn reset(&self) -> Result<()> {
        self.send(Command::Reset).await
    }

    /// Reads the events that were skipped; see
    /// [`ProjectionStore::dead_letters`](crate::projection::ProjectionStore::dead_letters).
    ///
    /// # Errors
    ///
    /// As
    /// [`ProjectionStore::dead_letters`](crate::projection::ProjectionStore::dead_letters).
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>> {
        (self.dead_letters)(after, limit).await
    }

    /// Ends the projection, for all clones of the handle, and waits until it
    /// has ended. The read model is kept.
    ///
    /// # Cancel safety
    ///
    /// The projection ends even if the future is dropped.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let mut progress = self.progress.clone();
        // The channel is closed when the task has ended.
        while progress.changed().await.is_ok() {}
    }

    async fn until(&self, holds: impl Fn(&Progress) -> bool) -> Result<()> {
        let mut watched = self.progress.clone();
        loop {
            {
                let progress = watched.borrow_and_update();
                if holds(&progress) {
                    return Ok(());
                }
                match &progress.status {
                    Status::Failed(error) => return Err(error.clone()),
                    Status::Ended => return Err(self.ended()),
                    _ => {}
                }
            }
            watched.changed().await.map_err(|_| self.ended())?;
        }
    }

    async fn send(&self, command: Command) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(CommandRequest { command, answer }).await.map_err(|_| self.ended())?;
        answered.await.map_err(|_| self.ended())?
    }

    fn ended(&self) -> Error {
        let message = format!("projection {} has ended: start it again", self.id());
        Error::new(ErrorKind::Unavailable, message)
    }
}

impl fmt::Debug for ProjectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionHandle")
            .field("id", self.id())
            .field("progress", &*self.progress.borrow())
            .finish_non_exhaustive()
    }
}
