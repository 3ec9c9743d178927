use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::QueryStore;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::hub::HubLink;
use crate::id::ProjectionId;
use crate::projection::ProjectionHandle;
use crate::supervise::{logged, unwound};

/// How often the store is asked, in case no hint of another process arrives.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest pause between two questions, because hints come as fast as commits.
const SHORTEST_PAUSE: Duration = Duration::from_millis(25);

/// What is known of the live version of a read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModelProgress {
    pub(super) version: Option<u32>,
    /// The checkpoint as of which [`complete`](Self::complete) is known.
    pub(super) checkpoint: Cursor,
    /// Queries that begin now see everything up to here.
    pub(super) complete: Cursor,
}

/// Follows one read model, for all its live queries: those of this process by their handles,
/// those of other processes by hints and by asking the store.
#[derive(Debug)]
pub(super) struct ModelWatch {
    pub(super) progress: watch::Sender<ModelProgress>,
    /// Changes when the answers may be others although no event came: after a switch to
    /// another version, and after a reset. Apart from the progress, so that a step does not
    /// wake every query.
    pub(super) generation: watch::Sender<u64>,
    /// Wakes the task when the model has a query again.
    pub(super) is_needed: Notify,
    handles: Vec<ProjectionHandle>,
    name: String,
}

impl ModelWatch {
    pub(super) fn new(name: &str, handles: &[ProjectionHandle]) -> Self {
        let handles = handles.iter().filter(|handle| handle.id().name() == name).cloned();
        let unknown =
            ModelProgress { version: None, checkpoint: Cursor::START, complete: Cursor::START };
        Self {
            progress: watch::Sender::new(unknown),
            generation: watch::Sender::new(0),
            is_needed: Notify::new(),
            handles: handles.collect(),
            name: name.to_owned(),
        }
    }

    /// Whether this process builds this version, or stands by, and it is not complete.
    pub(super) fn is_rebuilding(&self, version: u32) -> bool {
        let handle = self.handles.iter().find(|handle| handle.id().version() == version);
        handle.is_some_and(|handle| handle.progress().is_rebuilding())
    }

    /// Follows the model until the task is dropped.
    pub(super) async fn run<Tx: ?Sized + Send + 'static>(
        self: Arc<Self>,
        store: Arc<dyn QueryStore<Tx = Tx>>,
        hub: HubLink,
    ) {
        let mut hints = hub.hints();
        let mut steps = self.steps();
        let mut polled_at = None::<Instant>;
        let mut is_due = true;
        loop {
            if self.generation.receiver_count() == 0 {
                self.is_needed.notified().await;
                is_due = true;
            }
            if is_due && polled_at.is_none_or(|at| at.elapsed() >= SHORTEST_PAUSE) {
                self.poll(&*store).await;
                polled_at = Some(Instant::now());
                is_due = false;
            }
            let pause = if is_due { SHORTEST_PAUSE } else { POLL_INTERVAL };
            let next_poll = polled_at.map_or_else(Instant::now, |at| at + pause);
            tokio::select! {
                Some(()) = steps.next() => is_due |= self.step_was_made(),
                // A handle knows of a step before a hint of it comes.
                () = hints.changed(), if !self.has_handle() => is_due = true,
                () = self.is_needed.notified() => {}
                () = sleep_until(next_poll) => is_due = true,
            }
        }
    }

    /// Whether this process builds the live version.
    fn has_handle(&self) -> bool {
        let version = self.progress.borrow().version;
        self.handles.iter().any(|handle| Some(handle.id().version()) == version)
    }

    fn steps(&self) -> BoxStream<'static, ()> {
        let changes = self.handles.iter().map(|handle| handle.changes().map(drop));
        stream::select_all(changes.collect::<Vec<_>>()).chain(stream::pending()).boxed()
    }

    /// Takes over what a handle knows. Returns whether the store has to be asked, because
    /// another version may be the live one.
    fn step_was_made(&self) -> bool {
        let known = *self.progress.borrow();
        let live = self.handles.iter().filter_map(|handle| handle.progress().live).max();
        if live > known.version {
            return true;
        }
        self.advance(known.version, known.checkpoint, false);
        false
    }

    async fn poll<Tx: ?Sized + Send + 'static>(&self, store: &dyn QueryStore<Tx = Tx>) {
        let read = async {
            let Some(version) = store.live(&self.name).await? else { return Ok(None) };
            let id = ProjectionId::new(&self.name, version)?;
            Ok(Some((version, store.checkpoint(&id).await?)))
        };
        match unwound(read).await.flatten() {
            Ok(Some((version, checkpoint))) => self.advance(Some(version), checkpoint, true),
            Ok(None) => self.advance(None, Cursor::START, true),
            Err(error) => {
                let name = &self.name;
                logged(|| warn!(projection = name, %error, "could not look up a read model"));
            }
        }
    }

    /// Takes over what was read of the store, or what a handle knows if it is more.
    fn advance(&self, version: Option<u32>, checkpoint: Cursor, is_polled: bool) {
        let handle = self.handles.iter().find(|handle| Some(handle.id().version()) == version);
        let mut next = ModelProgress { version, checkpoint, complete: checkpoint };
        if let Some(handle) = handle {
            let progress = handle.progress();
            if progress.position.position() >= next.complete.position() {
                next.checkpoint = progress.checkpoint;
                next.complete = progress.position;
            }
        }
        let mut is_other = false;
        self.progress.send_if_modified(|known| {
            let went_back = next.complete.position() < known.complete.position();
            is_other = known.version.is_some() && (known.version != version || went_back);
            // What a handle knows may be newer than what was read.
            if !is_polled && went_back && handle.is_none() {
                return false;
            }
            std::mem::replace(known, next) != next
        });
        if is_other {
            self.generation.send_modify(|generation| *generation += 1);
        }
    }
}

/// The live version of a read model, as of a read; `None` if there is none.
pub(super) async fn has_live_version<Tx: ?Sized + Send + 'static>(
    store: &dyn QueryStore<Tx = Tx>,
    name: &str,
) -> Result<bool> {
    Ok(store.live(name).await?.is_some())
}
