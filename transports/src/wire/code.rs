use std::fmt;

use downlink::ErrorKind;
use http::StatusCode;

/// Why something was refused: the `code` of a [`Problem`](super::Problem).
///
/// Programs match on it; new codes may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A cursor that is malformed, given twice, or no cursor.
    BadCursor,
    /// The body of an append is not one event or an array of them.
    BadEvent,
    /// A filter that says nothing, or too much.
    BadFilter,
    /// A known parameter with a value that it does not take.
    BadParameter,
    /// The path names no valid stream.
    BadStream,
    /// A parameter that nobody knows; a typo must not mean "everything".
    UnknownParameter,
    /// A conditional header where `expected` is meant.
    UnsupportedPrecondition,
    /// Anything else that is wrong with the request.
    Invalid,
    /// Nobody is known to be asking.
    Unauthenticated,
    /// Whoever is asking may not.
    Forbidden,
    /// The `Host` is not on the list, or a request came through a proxy to a
    /// feed that is open to its own machine only.
    HostNotAllowed,
    /// A page of another site is asking.
    OriginNotAllowed,
    /// Nothing is served under this path.
    NotFound,
    /// The stream has no event that may be seen.
    StreamNotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The feed does not take appends.
    AppendDisabled,
    /// The body of a request came to a halt.
    RequestTimeout,
    /// An append failed an expectation; `failed` lists every one.
    VersionConflict,
    /// The cursor is past the end of the log.
    CursorAhead,
    /// The log has another event where the cursor points.
    HistoryChanged,
    /// Something exceeds a limit.
    TooLarge,
    /// The body is not labelled as what it has to be.
    UnsupportedMediaType,
    /// An event id is known for another event.
    IdReused,
    /// The path is for sockets, and the request asks for none.
    UpgradeRequired,
    /// The client asks too often, or for too much at a time.
    Limit,
    /// The log cannot be read as it stands.
    Corrupt,
    /// Anything else that went wrong in the server.
    Internal,
    /// Somebody else held the store for too long.
    Busy,
    /// The server is about to go.
    Draining,
    /// The queue of appends is full.
    Overloaded,
    /// The store cannot be reached.
    Unavailable,
    /// Whether an append was stored is not known.
    OutcomeUnknown,
    /// The disk is full.
    StorageFull,
}

impl Code {
    /// The word on the wire, as in `bad-filter`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What it is, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().1
    }

    /// The status of an answer that carries it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().2).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::Draining
                | Self::Limit
                | Self::OutcomeUnknown
                | Self::Overloaded
                | Self::RequestTimeout
                | Self::StorageFull
                | Self::Unavailable
        )
    }

    /// The one table of all codes: word, title, status.
    const fn row(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::BadCursor => ("bad-cursor", "Bad cursor", 400),
            Self::BadEvent => ("bad-event", "Bad event", 400),
            Self::BadFilter => ("bad-filter", "Bad filter", 400),
            Self::BadParameter => ("bad-parameter", "Bad parameter", 400),
            Self::BadStream => ("bad-stream", "Bad stream name", 400),
            Self::UnknownParameter => ("unknown-parameter", "Unknown parameter", 400),
            Self::UnsupportedPrecondition => {
                ("unsupported-precondition", "Unsupported precondition", 400)
            }
            Self::Invalid => ("invalid", "Invalid request", 400),
            Self::Unauthenticated => ("unauthenticated", "Not authenticated", 401),
            Self::Forbidden => ("forbidden", "Forbidden", 403),
            Self::HostNotAllowed => ("host-not-allowed", "Host not allowed", 403),
            Self::OriginNotAllowed => ("origin-not-allowed", "Origin not allowed", 403),
            Self::NotFound => ("not-found", "Not found", 404),
            Self::StreamNotFound => ("stream-not-found", "Stream not found", 404),
            Self::MethodNotAllowed => ("method-not-allowed", "Method not allowed", 405),
            Self::AppendDisabled => ("append-disabled", "Append disabled", 405),
            Self::RequestTimeout => ("request-timeout", "Request timed out", 408),
            Self::VersionConflict => ("version-conflict", "Version conflict", 409),
            Self::CursorAhead => ("cursor-ahead", "Cursor ahead of the log", 410),
            Self::HistoryChanged => ("history-changed", "History changed", 410),
            Self::TooLarge => ("too-large", "Too large", 413),
            Self::UnsupportedMediaType => ("unsupported-media-type", "Unsupported media type", 415),
            Self::IdReused => ("id-reused", "Event id reused", 422),
            Self::UpgradeRequired => ("upgrade-required", "Upgrade required", 426),
            Self::Limit => ("limit", "Limit reached", 429),
            Self::Corrupt => ("corrupt", "Log corrupt", 500),
            Self::Internal => ("internal", "Internal error", 500),
            Self::Busy => ("busy", "Store busy", 503),
            Self::Draining => ("draining", "Server draining", 503),
            Self::Overloaded => ("overloaded", "Overloaded", 503),
            Self::Unavailable => ("unavailable", "Store unavailable", 503),
            Self::OutcomeUnknown => ("outcome-unknown", "Outcome unknown", 504),
            Self::StorageFull => ("storage-full", "Storage full", 507),
        }
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Conflict => Self::VersionConflict,
            ErrorKind::IdReused => Self::IdReused,
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::Overloaded => Self::Overloaded,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::StorageFull => Self::StorageFull,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::OutcomeUnknown => Self::OutcomeUnknown,
            ErrorKind::CursorAhead => Self::CursorAhead,
            ErrorKind::HistoryChanged => Self::HistoryChanged,
            ErrorKind::Corrupt => Self::Corrupt,
            _ => Self::Internal,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_errors_are_retryable_as_the_errors_are() {
        for kind in [
            ErrorKind::Conflict,
            ErrorKind::IdReused,
            ErrorKind::Invalid,
            ErrorKind::TooLarge,
            ErrorKind::Overloaded,
            ErrorKind::Busy,
            ErrorKind::StorageFull,
            ErrorKind::Unavailable,
            ErrorKind::OutcomeUnknown,
            ErrorKind::CursorAhead,
            ErrorKind::HistoryChanged,
            ErrorKind::Corrupt,
            ErrorKind::Backend,
        ] {
            let error = downlink::Error::new(kind, "");
            assert_eq!(Code::from(kind).is_retryable(), error.is_retryable(), "{kind:?}");
        }
    }
}
