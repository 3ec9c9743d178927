use crate::cursor::Cursor;
use crate::error::Error;

/// How far a projection has got, for log lines and progress bars.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub status: Status,
    /// Everything up to here is in the read model, for every query begun from
    /// now on. At or after the checkpoint: events that do not match need no
    /// transaction.
    pub position: Cursor,
    /// Where it would go on after a crash.
    pub checkpoint: Cursor,
    /// The end of the log, perhaps a moment old.
    pub head: Cursor,
    /// The version that queries should read, as far as it is known.
    pub live: Option<u32>,
    /// Events that were applied since the program started it.
    pub applied: u64,
    /// Events that were passed over since then.
    pub skipped: u64,
}

impl Progress {
    /// Whether everything up to the end of the log, as far as it is known, is
    /// in the read model.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.position.position() >= self.head.position()
    }

    /// How many positions the log has after the read model. There are at most
    /// as many events, since positions may have gaps, and at most as many of
    /// them match.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.head.position().get().saturating_sub(self.position.position().get())
    }
}

/// What a projection is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Status {
    /// It makes a read model that no query should read yet, or one that was
    /// reset.
    Rebuilding,
    /// It has fallen behind the end of the log, or has just begun.
    CatchingUp,
    /// It applies events as they happen.
    CaughtUp,
    /// Something failed, and it tries again by itself.
    Retrying(Error),
    /// Somebody has paused it.
    Paused,
    /// It has given up, because of this error.
    /// [`resume`](crate::ProjectionHandle::resume) lets it try again.
    Stopped(Error),
    /// It was shut down, or the hub was.
    Ended,
}
