use std::time::Duration;

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::wire::Code;

/// How a socket ends.
pub(super) enum Ending {
    /// Without a word: there is nobody to hear it.
    Bare,
    /// As the other end wants it, which has said so.
    Agreed,
    /// At once, for a reason that a reconnect does not mend.
    Refused(CloseFrame),
    /// In good order: what was begun is finished, and `bye` says when to come
    /// again.
    Planned { reason: &'static str, code: u16 },
}

impl Ending {
    pub(super) fn refused(code: u16, reason: impl Into<String>) -> Self {
        Self::Refused(close_frame(code, reason))
    }

    /// Why a caller may have nothing at all.
    pub(super) fn denied(code: Code) -> Self {
        let number = if code == Code::Unauthenticated { 4401 } else { 4403 };
        Self::refused(number, code.as_str())
    }

    pub(super) fn planned(reason: &'static str) -> Self {
        let code = match reason {
            "draining" => 4503,
            "rotate" | "expired" => 4509,
            _ => 4500,
        };
        Self::Planned { reason, code }
    }

    /// What the other end has done wrong, or that it is gone.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Bare,
            Error::Protocol(error) => Self::refused(1002, error.to_string()),
            Error::Utf8(_) => Self::refused(1007, "a text is not UTF-8"),
            Error::Capacity(_) => Self::refused(1009, "a message has more than 256 KiB"),
            error => {
                tracing::debug!(%error, "a socket broke");
                Self::Bare
            }
        }
    }
}

pub(super) fn close_frame(code: u16, reason: impl Into<String>) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: reason.into().into() }
}

/// How long what was begun may take to be finished, and the other end to agree
/// to the end: together less than a server gives its drain.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
