use crate::commit::LogHead;
use crate::error::Result;
use crate::event::Event;
use crate::id::{Position, StreamId, Version};
use crate::store::Appended;

/// The rows to insert and the outcomes to return.
#[derive(Debug)]
pub struct Plan {
    /// One for each append of the group, in order. Return an `Ok` to the caller
    /// only after the commit.
    pub outcomes: Vec<Result<Appended>>,
    /// The events to insert, in position order.
    pub rows: Vec<Event>,
    /// The new ends of the streams that were written.
    pub streams: Vec<StreamHead>,
    /// The new end of the log.
    pub head: LogHead,
}

impl Plan {
    /// Whether an append is stored already.
    pub(super) fn has_repetition(&self) -> bool {
        self.outcomes.iter().flatten().any(|appended| appended.duplicate)
    }
}

/// The end of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// The stream.
    pub stream: StreamId,
    /// The version of its last event.
    pub version: Version,
    /// The position of its last event.
    pub position: Position,
}
