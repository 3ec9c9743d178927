use crate::cursor::Cursor;
use crate::event::Event;

/// What a subscription yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// An event that matches.
    Event(Event),
    /// The log was looked through up to here and nothing matched for a while,
    /// so that a sparse filter does not have to look again after a reconnect.
    Checkpoint(Cursor),
    /// Everything up to `head` was delivered. What was appended since then
    /// follows, and what comes as it happens.
    Live {
        /// Where the subscription is: at `head`, or beyond it.
        cursor: Cursor,
        /// The end of the log, read after the subscription began or fell
        /// behind.
        head: Cursor,
    },
    /// The subscriber was so slow that memory no longer has what comes next. It
    /// is read from the store; nothing is lost.
    Behind {
        /// Where the subscription is.
        cursor: Cursor,
        /// The end of the log.
        head: Cursor,
    },
}

impl Item {
    /// Where to resume once this item was handled.
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
