use crate::cursor::Cursor;
use crate::event::Event;

/// An item of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A matching event.
    Event(Event),
    /// The log was searched up to this cursor, and nothing has matched for a
    /// while. With a sparse filter, this saves searching the same part again
    /// after a reconnect.
    Checkpoint(Cursor),
    /// Everything up to `head` was delivered; from here on, events come as they
    /// are appended. `cursor` may be past `head`.
    Live {
        /// The position of the subscription.
        cursor: Cursor,
        /// The end of the log, read after the subscription began or fell
        /// behind.
        head: Cursor,
    },
    /// The subscriber was so slow that the next events are no longer in memory.
    /// They are read from the store; nothing is lost.
    Behind {
        /// The position of the subscription.
        cursor: Cursor,
        /// The end of the log.
        head: Cursor,
    },
}

impl Item {
    /// The cursor to resume from once this item was handled.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        match self {
            Self::Event(event) => event.cursor(),
            Self::Checkpoint(cursor) | Self::Live { cursor, .. } | Self::Behind { cursor, .. } => {
                *cursor
            }
        }
    }
}
