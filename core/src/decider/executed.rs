use crate::cursor::Cursor;
use crate::store::Written;

/// A command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Executed<S, E> {
    /// What happened; nothing if there was nothing to do.
    pub events: Vec<E>,
    /// What the stream amounts to after that; of a duplicate, as it is now.
    pub state: S,
    /// The stream and the versions of the events; `None` if there are none.
    pub written: Option<Written>,
    /// Whoever has followed the log up to here has seen the events or, if
    /// there are none, all that the decision rests on.
    pub cursor: Cursor,
    /// Whether this is the outcome of an earlier execution of the same command,
    /// or of an earlier attempt of this one whose answer was lost.
    pub duplicate: bool,
}
