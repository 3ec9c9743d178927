use crate::cursor::Cursor;
use crate::store::Written;

/// The outcome of a command that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Executed<S, E> {
    /// The events of the command; empty if there was nothing to do.
    pub events: Vec<E>,
    /// The state of the stream after the events; the current state if this is a
    /// duplicate.
    pub state: S,
    /// The stream and the versions of the events; `None` if there are no
    /// events.
    pub written: Option<Written>,
    /// The cursor of the last event. Without events: a cursor at or after
    /// everything the decision has read.
    pub cursor: Cursor,
    /// Whether this is the outcome of an earlier execution of the same command,
    /// or of an earlier attempt of this one whose result was lost.
    pub duplicate: bool,
}
