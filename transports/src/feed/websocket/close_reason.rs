use std::time::Duration;

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

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
        Self::Refused(close_frame(code, reason))
    }

    /// The client has lost all rights.
    pub(super) fn unauthorized(code: Code) -> Self {
        let number = if code == Code::Unauthenticated { 4401 } else { 4403 };
        Self::refused(number, code.as_str())
    }

    pub(super) fn graceful(reason: &'static str) -> Self {
        let code = match reason {
            "draining" => 4503,
            "rotate" | "expired" => 4509,
            _ => 4500,
        };
        Self::Graceful { reason, code }
    }

    /// The client has violated the protocol, or is gone.
    pub(super) fn from_error(error: &Error) -> Self {
        match error {
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::ConnectionLost,
            Error::Protocol(error) => Self::refused(1002, error.to_string()),
            Error::Utf8(_) => Self::refused(1007, "a text message is not UTF-8"),
            Error::Capacity(_) => Self::refused(1009, "a message has more than 256 KiB"),
            error => {
                tracing::debug!(%error, "a socket failed");
                Self::ConnectionLost
            }
        }
    }
}

pub(super) fn close_frame(code: u16, reason: impl Into<String>) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: reason.into().into() }
}

/// How long pending appends may take, and then the closing handshake: together
/// less than the drain deadline of a server.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
