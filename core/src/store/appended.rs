use crate::cursor::Cursor;
use crate::id::{Position, StreamId, Version};

/// Where an append was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The result of each write, in the order of the writes.
    pub writes: Vec<Written>,
    /// The position of the first event.
    pub first: Position,
    /// The cursor of the last event. A reader that has reached it has seen the
    /// whole append.
    pub cursor: Cursor,
    /// Whether an earlier append with the same ids had stored the events
    /// already. The versions and positions are then the original ones.
    pub duplicate: bool,
}

impl Appended {
    /// The position of the last event.
    #[must_use]
    pub fn last(&self) -> Position {
        self.cursor.position()
    }
}

/// Where one write was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The stream.
    pub stream: StreamId,
    /// The version of the write's first event.
    pub first: Version,
    /// The version of the write's last event.
    pub last: Version,
}
