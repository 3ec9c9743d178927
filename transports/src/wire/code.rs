use std::fmt;

use downlink::ErrorKind;
use http::StatusCode;

/// Defines [`Code`] and its table in one place, which both ends use.
macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $code:ident: $name:literal, $title:literal, $status:literal, $kind:ident, $retryable:literal;
    )*) => {
        /// The reason for a refusal: the `code` of a [`Problem`](super::Problem).
        ///
        /// Programs match on it; new codes may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// Every code, in the order of statuses.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            const fn row(self) -> Row {
                match self {
                    $(Self::$code => Row {
                        name: $name,
                        title: $title,
                        status: $status,
                        kind: ErrorKind::$kind,
                        is_retryable: $retryable,
                    },)*
                }
            }
        }
    };
}

// Name, title, status, kind of the error that a client gets, and whether it may retry.
codes! {
    /// The cursor is malformed, or given twice.
    BadCursor: "bad-cursor", "Bad cursor", 400, Invalid, false;
    /// The body of an append is not one event or an array of events.
    BadEvent: "bad-event", "Bad event", 400, Invalid, false;
    /// The filter is empty, malformed or too large.
    BadFilter: "bad-filter", "Bad filter", 400, Invalid, false;
    /// A known parameter has a value that it does not take.
    BadParameter: "bad-parameter", "Bad parameter", 400, Invalid, false;
    /// The path does not contain a valid stream name.
    BadStream: "bad-stream", "Bad stream name", 400, Invalid, false;
    /// The parameter is unknown. A typo must not mean "everything".
    UnknownParameter: "unknown-parameter", "Unknown parameter", 400, Invalid, false;
    /// The request has a conditional header where `expected` is meant.
    UnsupportedPrecondition:
        "unsupported-precondition", "Unsupported precondition", 400, Invalid, false;
    /// The request is invalid in another way.
    Invalid: "invalid", "Invalid request", 400, Invalid, false;
    /// The request is not authenticated.
    Unauthenticated: "unauthenticated", "Not authenticated", 401, Invalid, false;
    /// The caller is not allowed to do this.
    Forbidden: "forbidden", "Forbidden", 403, Invalid, false;
    /// The `Host` is not on the list, or the request may be from another machine
    /// and the feed is open to its own machine only.
    HostNotAllowed: "host-not-allowed", "Host not allowed", 403, Invalid, false;
    /// The request comes from a page of another site.
    OriginNotAllowed: "origin-not-allowed", "Origin not allowed", 403, Invalid, false;
    /// Nothing is served under this path.
    NotFound: "not-found", "Not found", 404, Invalid, false;
    /// The stream has no event that the caller may see.
    StreamNotFound: "stream-not-found", "Stream not found", 404, Invalid, false;
    /// The path does not take this method.
    MethodNotAllowed: "method-not-allowed", "Method not allowed", 405, Invalid, false;
    /// The feed does not take appends.
    AppendDisabled: "append-disabled", "Append disabled", 405, Invalid, false;
    /// The body of the request stalled.
    RequestTimeout: "request-timeout", "Request timed out", 408, Unavailable, true;
    /// An append failed an expectation; `failed` lists every failed check.
    VersionConflict: "version-conflict", "Version conflict", 409, Conflict, false;
    /// The application refused a command. The answer has the application's own type
    /// and code.
    Refused: "refused", "Refused", 409, Invalid, false;
    /// The cursor is past the end of the log.
    CursorAhead: "cursor-ahead", "Cursor ahead of the log", 410, CursorAhead, false;
    /// Reserved: the log no longer has the events after the cursor.
    CursorExpired: "cursor-expired", "Cursor expired", 410, HistoryChanged, false;
    /// The log has another event at the cursor's position.
    HistoryChanged: "history-changed", "History changed", 410, HistoryChanged, false;
    /// The client may see more than before, and its cursor may have passed it: it loads
    /// again, without the cursor.
    RightsChanged: "rights-changed", "Rights changed", 410, HistoryChanged, false;
    /// Something exceeds a limit.
    TooLarge: "too-large", "Too large", 413, TooLarge, false;
    /// The `Content-Type` is missing or not supported.
    UnsupportedMediaType:
        "unsupported-media-type", "Unsupported media type", 415, Invalid, false;
    /// The event id already belongs to another event.
    IdReused: "id-reused", "Event id reused", 422, IdReused, false;
    /// The path takes a WebSocket only, and the request does not ask for one.
    UpgradeRequired: "upgrade-required", "Upgrade required", 426, Invalid, false;
    /// The client sends too many requests, or asks for too much at a time.
    Limit: "limit", "Limit reached", 429, Overloaded, true;
    /// The stored log is corrupted and cannot be read.
    Corrupt: "corrupt", "Log corrupt", 500, Corrupt, false;
    /// The server failed in another way.
    Internal: "internal", "Internal error", 500, Backend, false;
    /// Another writer held the store for too long.
    Busy: "busy", "Store busy", 503, Busy, true;
    /// The server is shutting down.
    Draining: "draining", "Server draining", 503, Unavailable, true;
    /// The read model of a live query did not contain the cursor in time.
    ModelBehind: "model-behind", "Read model behind", 503, Unavailable, true;
    /// The read model of a live query is being built.
    ModelRebuilding: "model-rebuilding", "Read model rebuilding", 503, Unavailable, true;
    /// The queue of appends is full.
    Overloaded: "overloaded", "Overloaded", 503, Overloaded, true;
    /// A live query was interrupted, because it took too long.
    QueryTooSlow: "query-too-slow", "Query too slow", 503, Unavailable, true;
    /// The rights of the client have changed, and are not known yet.
    RightsPending: "rights-pending", "Rights pending", 503, Unavailable, true;
    /// The store cannot be reached.
    Unavailable: "unavailable", "Store unavailable", 503, Unavailable, true;
    /// It is unknown whether the append was stored.
    OutcomeUnknown: "outcome-unknown", "Outcome unknown", 504, OutcomeUnknown, true;
    /// The disk is full.
    StorageFull: "storage-full", "Storage full", 507, StorageFull, true;
}

struct Row {
    name: &'static str,
    title: &'static str,
    status: u16,
    kind: ErrorKind,
    is_retryable: bool,
}

impl Code {
    /// The code with this name on the wire, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The name on the wire, as in `bad-filter`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The title, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// The HTTP status of an answer with this code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The kind of the error that a client gets for this code.
    ///
    /// A client handles an expired cursor like a changed history: it starts
    /// again from a state that it trusts.
    #[must_use]
    pub const fn error_kind(self) -> ErrorKind {
        self.row().kind
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        self.row().is_retryable
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
    fn a_code_is_retryable_if_its_error_is() {
        for code in Code::ALL {
            let error = downlink::Error::new(code.error_kind(), "");
            assert_eq!(code.is_retryable(), error.is_retryable(), "{code}");
        }
    }

    #[test]
    fn names_are_unique_and_statuses_valid() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert_eq!(code.status().as_u16(), code.row().status, "{code}");
        }
        assert_eq!(Code::parse("fireworks"), None);
    }

    /// Written out, so that an accidental change of the table is noticed.
    #[test]
    fn clients_rely_on_these_codes() {
        for (name, status, kind) in [
            ("bad-filter", 400, ErrorKind::Invalid),
            ("host-not-allowed", 403, ErrorKind::Invalid),
            ("version-conflict", 409, ErrorKind::Conflict),
            ("cursor-ahead", 410, ErrorKind::CursorAhead),
            ("cursor-expired", 410, ErrorKind::HistoryChanged),
            ("history-changed", 410, ErrorKind::HistoryChanged),
            ("too-large", 413, ErrorKind::TooLarge),
            ("id-reused", 422, ErrorKind::IdReused),
            ("limit", 429, ErrorKind::Overloaded),
            ("corrupt", 500, ErrorKind::Corrupt),
            ("internal", 500, ErrorKind::Backend),
            ("busy", 503, ErrorKind::Busy),
            ("draining", 503, ErrorKind::Unavailable),
            ("model-behind", 503, ErrorKind::Unavailable),
            ("model-rebuilding", 503, ErrorKind::Unavailable),
            ("overloaded", 503, ErrorKind::Overloaded),
            ("query-too-slow", 503, ErrorKind::Unavailable),
            ("unavailable", 503, ErrorKind::Unavailable),
            ("outcome-unknown", 504, ErrorKind::OutcomeUnknown),
            ("storage-full", 507, ErrorKind::StorageFull),
        ] {
            let code = Code::parse(name).unwrap();
            assert_eq!((code.status().as_u16(), code.error_kind()), (status, kind), "{name}");
        }
    }

    #[test]
    fn the_code_of_an_error_has_the_kind_of_that_error() {
        for code in Code::ALL {
            let kind = code.error_kind();
            assert_eq!(Code::from(kind).error_kind(), kind, "{code}");
        }
    }
}
