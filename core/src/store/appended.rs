use crate::cursor::Cursor;
use crate::id::{Position, StreamId, Version};

/// Where an append was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// One for each write, in their order.
    pub writes: Vec<Written>,
    /// The position of the first event.
    pub first: Position,
    /// The token of the last event: who has handled it has handled this
    /// append.
    pub cursor: Cursor,
    /// Whether it had been stored before, by an append with the same ids. The
    /// versions and positions are the original ones.
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
