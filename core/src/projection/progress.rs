use crate::cursor::Cursor;
use crate::error::Error;

/// How far a projection has got, for logs and progress bars.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// What the projection is doing.
    pub status: Status,
    /// Queries begun now see everything up to here. May be after the
    /// checkpoint, never before it, because passing events that do not match
    /// writes nothing.
    pub position: Cursor,
    /// The stored checkpoint, from which the projection continues after a
    /// crash.
    pub checkpoint: Cursor,
    /// The end of the log, as of a recent read.
    pub head: Cursor,
    /// The version that queries should read, as far as is known.
    pub live: Option<u32>,
    /// The number of events that this worker has applied since the projection was started.
    pub applied: u64,
    /// The number of events that it has skipped since then.
    pub skipped: u64,
    /// Whether the live model is built again after a reset, by another worker.
    pub(super) is_rebuilt_elsewhere: bool,
}

impl Progress {
    /// Whether the read model contains everything up to [`head`](Self::head).
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.position.position() >= self.head.position()
    }

    /// Whether no query should read the model yet, or again.
    pub(crate) fn is_rebuilding(&self) -> bool {
        matches!(self.status, Status::Rebuilding) || self.is_rebuilt_elsewhere
    }

    /// The number of positions between the read model and [`head`](Self::head):
    /// an upper bound for the events that remain, since positions may have gaps
    /// and not every event matches.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.position().get().saturating_sub(self.position.position().get())
    }
}

/// What a projection is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Status {
    /// It builds a read model that no query should read yet, or rebuilds one
    /// after a reset.
    Rebuilding,
    /// It is behind the end of the log, or has just started.
    CatchingUp,
    /// It applies events as they are appended.
    CaughtUp,
    /// Something failed, and it retries by itself.
    Retrying(Error),
    /// Another worker has the [lease](crate::projection::ProjectionBuilder::with_lease). The
    /// progress is that of the stored read model, whichever worker builds it.
    Standby,
    /// It was paused.
    Paused,
    /// It has stopped because of this error.
    /// [`resume`](crate::ProjectionHandle::resume) makes it try again.
    Failed(Error),
    /// It was shut down, or the hub was.
    Ended,
}
