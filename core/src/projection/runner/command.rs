use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// How many commands may be queued.
pub(crate) const QUEUE: usize = 16;

/// What a handle can ask a projection to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Pause,
    Resume,
    Reset,
}

/// A command and where its outcome is sent.
#[derive(Debug)]
pub(crate) struct CommandRequest {
    pub(crate) command: Command,
    pub(crate) answer: oneshot::Sender<Result<()>>,
}

/// The outcome of work that can be interrupted.
pub(super) type Outcome<T> = Result<T, Interruption>;

/// Why a projection does not continue with what it was doing.
#[derive(Debug)]
pub(super) enum Interruption {
    /// A handle sent a command.
    Command(CommandRequest),
    /// The checkpoint was moved by another worker, or the log was replaced: it
    /// has to start again from the stored checkpoint.
    Restart,
    /// Code of the application or of a store panicked.
    Panicked(Error),
    /// An error that it cannot recover from by itself.
    Failed(Error),
    /// The hub was shut down, or the last handle was dropped.
    End,
}
