use std::time::Duration;

use super::close_frame::CloseFrame;
use super::read_error::ReadError;
use crate::wire::Code;

/// Why, and so how, a socket is closed.
pub(super) enum CloseReason {
    /// The client is gone or does not respond: no close frame is sent.
    ConnectionLost,
    /// The client has sent a close frame.
    ByClient,
    /// At once, for a reason that a reconnect does not fix.
    Refused(CloseFrame),
    /// Pending appends are finished, and `bye` has the time to reconnect.
    Graceful { reason: &'static str, code: u16 },
}

impl CloseReason {
    pub(super) fn refused(code: u16, reason: impl Into<String>) -> Self {
        Self::Refused(CloseFrame::new(code, reason))
    }

    /// The client has lost all rights.
    pub(super) fn unauthorized(code: Code) -> Self {
        let number = if code == Code::Unauthenticated { 4401 } else { 4403 };
        Self::refused(number, code.as_str())
    }

    pub(super) fn graceful(reason: &'static str) -> Self {
        let code = match reason {
            "draining" => 4503,
            "rotate" | "expired" | "rights" => 4509,
            _ => 4500,
        };
        Self::Graceful { reason, code }
    }

    /// The client has violated the protocol or a limit, or is gone.
    pub(super) fn from_error(error: &ReadError) -> Self {
        match error {
            ReadError::Io(error) => {
                tracing::debug!(%error, "a socket failed");
                Self::ConnectionLost
            }
            ReadError::Ended => Self::ConnectionLost,
            ReadError::Protocol(what) => Self::refused(1002, *what),
            ReadError::Binary => Self::refused(1003, "a command must be a text message"),
            ReadError::NotUtf8 => Self::refused(1007, "a text message is not UTF-8"),
            ReadError::TooLong => Self::refused(1009, "a message has more than 256 KiB"),
            ReadError::OverBudget => {
                Self::refused(4529, "the server has no memory left for the message: retry later")
            }
            ReadError::Stalled(stalled) => {
                tracing::debug!(%stalled, "a socket ends within a message");
                Self::refused(4529, "a message was begun and did not arrive in time: send it whole")
            }
        }
    }
}

/// How long pending appends may take, and then the closing handshake: together
/// less than the drain deadline of a server.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
