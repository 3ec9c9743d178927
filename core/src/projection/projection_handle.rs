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

/// Reads the dead letters of one projection, whatever its transactions are.
pub(super) type ReadDeadLetters =
    Arc<dyn Fn(Position, usize) -> BoxFuture<'static, Result<Vec<DeadLetter>>> + Send + Sync>;

/// A running projection.
///
/// # Contract
///
/// The names in brackets are laws of the conformance suite.
///
/// 1. **Exact.** Whatever is appended meanwhile, and however many workers run
///    the same projection, the read model is the fold of the log up to its
///    checkpoint, and at rest of all of it \[`a_running_projection_is_exact`\].
/// 2. **A failing event** stops it right before that event, with everything
///    before it applied \[`a_projection_stops_before_a_failing_event`\]; or is
///    passed over alone \[`only_failing_events_are_skipped`\]; after as
///    many tries as its policy says \[`a_failing_event_is_retried_as_configured`\].
///    A store that is busy or out of reach is waited for
///    \[`a_projection_waits_for_a_busy_store`\].
/// 3. **Read your writes.** [`wait_for`](Self::wait_for) returns when the read
///    model has the event, and not before
///    \[`wait_for_returns_when_the_model_has_it`\].
/// 4. **Versions.** A new version is built beside the live one, which goes on,
///    and takes its place when it has caught up
///    \[`a_new_version_is_built_beside_the_live_one`\]; each event is announced
///    by one of them \[`every_event_is_announced_once`\].
/// 5. **Checkpoints move without matches,** so that a restart does not look
///    through the log again \[`a_checkpoint_moves_without_matches`\].
/// 6. **A log that was replaced** under its checkpoint stops it
///    \[`another_history_stops_a_projection`\].
///
/// # Clones and handles
///
/// Clones are the same projection. It ends when the last one is dropped, when
/// one is [shut down](Self::shutdown), and when the hub is shut down.
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
    /// Which read model it makes.
    #[must_use]
    pub fn id(&self) -> &ProjectionId {
        &self.id
    }

    /// How far it has got, without any work.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { head: self.hub.cached_head(), ..self.progress.borrow().clone() }
    }

    /// How far it has got, now and whenever that changes, until it has ended.
    /// Changes that nobody looks at are told as one.
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

    /// How many positions the log has after the read model, with the end of
    /// the log read from the store now; see [`Progress::behind`].
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
        Ok(Progress { head, ..self.progress.borrow().clone() }.behind())
    }

    /// Waits until everything up to `cursor` is in the read model: for whoever
    /// has appended something and queries the model next. While the projection
    /// is paused, waits on.
    ///
    /// # Errors
    ///
    /// Why the projection has stopped, if it has;
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

    /// Waits until this version, or a higher one, is the one that queries
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
    /// no step is under way.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the projection has ended.
    ///
    /// # Cancel safety
    ///
    /// It may be paused all the same.
    pub async fn pause(&self) -> Result<()> {
        self.send(Command::Pause).await
    }

    /// Goes on after a pause, or tries again after it has stopped.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the projection has ended.
    ///
    /// # Cancel safety
    ///
    /// It may go on all the same.
    pub async fn resume(&self) -> Result<()> {
        self.send(Command::Resume).await
    }

    /// Empties the read model, forgets its dead letters, and builds it again
    /// from the beginning of the log. Whoever queries it meanwhile sees it
    /// grow; a new version is built unseen.
    ///
    /// A projection that has stopped goes on; one that is paused stays paused.
    ///
    /// # Errors
    ///
    /// As [`ProjectionStore::reset`](crate::projection::ProjectionStore::reset);
    /// [`Unavailable`](ErrorKind::Unavailable) if the projection has ended.
    ///
    /// # Cancel safety
    ///
    /// It may be reset all the same.
    pub async fn reset(&self) -> Result<()> {
        self.send(Command::Reset).await
    }

    /// The events that were passed over; see
    /// [`ProjectionStore::dead_letters`](crate::projection::ProjectionStore::dead_letters).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>> {
        (self.dead_letters)(after, limit).await
    }

    /// Ends the projection, for all clones of the handle, and waits for that.
    /// The read model stays as it is.
    ///
    /// # Cancel safety
    ///
    /// The projection ends also if the future is dropped.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let mut progress = self.progress.clone();
        // Closed when the task is gone.
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
                    Status::Stopped(error) => return Err(error.clone()),
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
        let message = format!("projection {} has ended: start it anew", self.id());
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
