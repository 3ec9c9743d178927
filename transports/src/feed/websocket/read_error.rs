use std::io;

use crate::stall_timer::Stalled;

/// Why nothing more is read from a socket.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The connection failed.
    Io(io::Error),
    /// The connection has ended without a close frame.
    Ended,
    /// A frame violates the protocol.
    Protocol(&'static str),
    /// A message is not text.
    Binary,
    /// A text message is not UTF-8.
    NotUtf8,
    /// A message is longer than the limit.
    TooLong,
    /// The byte budget has no room for a message.
    OverBudget,
    /// A message was begun, and does not arrive.
    Stalled(Stalled),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
