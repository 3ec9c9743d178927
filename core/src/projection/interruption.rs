use super::command::Command;
use crate::Error;

/// What came of something that can be interrupted.
pub(super) type Outcome<T> = Result<T, Interruption>;

/// Why a projection does not go on from where it is.
#[derive(Debug)]
pub(super) enum Interruption {
    /// Somebody wants something.
    Command(Command),
    /// The checkpoint is elsewhere, or the log is another one: it has to begin
    /// at the stored checkpoint again.
    Elsewhere,
    /// Code of others panicked under it.
    Panicked(Error),
    /// It cannot go on by itself.
    Failed(Error),
    /// The hub was shut down, or nobody has a handle any more.
    End,
}
