//! The error type of every operation, and what a caller can do about an error.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::expected::Expected;
use crate::id::{Position, ProjectionId, StreamId, Version};

/// The result type of Downlink's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as returned by user code such as
/// [`Projection::apply`](crate::Projection::apply).
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What went wrong, as far as a caller can act on it.
///
/// Match on the kind to decide what to do next, and log the [`Error`] itself
/// to learn why. New kinds may be added in any release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An expectation or a check failed. Nothing was written. Load the stream,
    /// decide again, and append again; [`Error::failed_checks`] lists every check
    /// that failed.
    Conflict,
    /// An event id is already in use, with other content or at another place.
    /// Nothing was written. Give new events new ids.
    IdReused,
    /// The call itself is wrong, for example an empty batch or a malformed
    /// name, and fails the same way each time it is repeated. Nothing was
    /// written.
    Invalid,
    /// The call is well-formed but exceeds a limit. Nothing was written. Split
    /// it, or store large content elsewhere and its address in the event.
    TooLarge,
    /// The store's queue of appends is full. Nothing was written. Repeat the
    /// call later, with a growing pause.
    Overloaded,
    /// Another process or program held the store's lock past the deadline.
    /// Nothing was written. Repeat the call later.
    Busy,
    /// The disk is full. Nothing was written. Free some space; the store then
    /// works again without a restart.
    StorageFull,
    /// The backend cannot be reached, is shutting down or was shut down.
    /// Nothing was written. Repeat the call later.
    Unavailable,
    /// It is unknown whether the append was stored. Repeat it with the same
    /// event ids: it is stored exactly once, whatever happened before.
    OutcomeUnknown,
    /// The cursor is past the end of this log: the log lost its tail, or the
    /// cursor belongs to another log. Start again from a state that you trust.
    CursorAhead,
    /// The log has another event at the cursor's position: the log was replaced
    /// or restored, or the cursor belongs to another log. Start again from a
    /// state that you trust.
    HistoryChanged,
    /// Stored data is corrupted or cannot be decoded. Repeating the call does
    /// not help; an operator has to investigate.
    Corrupt,
    /// Any other error that a backend reports. Nothing was written.
    Backend,
}

impl ErrorKind {
    /// What a caller can do, as a clause for error messages.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Conflict => "load the stream again and decide again",
            Self::IdReused => {
                "retry with exactly the bytes that were sent first, or give new events new ids"
            }
            Self::Invalid => "correct the call",
            Self::TooLarge => "split it, or store large content elsewhere",
            Self::Overloaded | Self::Busy | Self::Unavailable => "repeat it later",
            Self::StorageFull => "free space on the disk",
            Self::OutcomeUnknown => "repeat it with the same event ids",
            Self::CursorAhead | Self::HistoryChanged => {
                "the log was replaced or restored: start again from the beginning"
            }
            Self::Corrupt | Self::Backend => "see the server's log",
        }
    }
}

/// A check of an append that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedCheck {
    /// A stream is not as expected.
    Stream {
        /// The stream.
        stream: StreamId,
        /// What the append expected of it.
        expected: Expected,
        /// The stream's actual version; `None` if it has no events.
        actual: Option<Version>,
    },
    /// An event after the boundary's cursor matches its filter.
    Boundary {
        /// The cursor up to which the caller had read.
        after: Cursor,
        /// The first matching event after it.
        found: Cursor,
    },
}

impl fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream { stream, expected, actual: Some(version) } => {
                write!(f, "stream '{stream}' was expected {expected} but is at version {version}")
            }
            Self::Stream { stream, expected, actual: None } => {
                write!(f, "stream '{stream}' was expected {expected} but has no events")
            }
            Self::Boundary { after, found } => {
                write!(f, "no matching event was expected after {after}, but {found} matches")
            }
        }
    }
}

/// An error from a store, a bus, a hub or a transport.
///
/// One word wide and cheap to clone, since the error of one failed commit is
/// returned to every append of its group.
///
/// # Formatting
///
/// [`Display`](fmt::Display) prints this error only, on one line. Causes are
/// reached through [`source`](StdError::source), so a reporter that walks the
/// chain prints each of them once. The wording is not part of the API.
///
/// # Source
///
/// The source of a backend's error is the driver's own error. Which type that
/// is depends on the backend and may change with it.
///
/// # Examples
///
/// ```
/// use downlink::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Busy, "another program holds the lock");
/// assert_eq!(error.kind(), ErrorKind::Busy);
/// assert!(error.is_retryable());
/// assert_eq!(error.to_string(), "another program holds the lock");
/// ```
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    conflicts: Vec<FailedCheck>,
    limit: Option<usize>,
    source: Option<BoxError>,
}

impl Error {
    /// Creates an error of this kind. The message states what happened and what
    /// to do next, in lower case and without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::build(kind, message.into(), Vec::new(), None)
    }

    /// Creates an error of this kind, with the error that caused it.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<BoxError>,
    ) -> Self {
        Self::build(kind, message.into(), Vec::new(), Some(source.into()))
    }

    /// Creates a [`Conflict`](ErrorKind::Conflict) that lists every check that
    /// failed.
    #[must_use]
    pub fn conflict(failed: Vec<FailedCheck>) -> Self {
        let message = failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self::build(ErrorKind::Conflict, message, failed, None)
    }

    /// Creates a [`CursorAhead`](ErrorKind::CursorAhead): `position` is past
    /// the end of the log. For backends.
    #[must_use]
    pub fn cursor_ahead(position: Position, head: Cursor) -> Self {
        let message = format!(
            "position {position} is past the end of the log, which is at {}: the log was \
                 replaced or restored, or the position is of another log; begin again from the start",
            head.position()
        );
        Self::new(ErrorKind::CursorAhead, message)
    }

    /// Creates a [`HistoryChanged`](ErrorKind::HistoryChanged): the log has
    /// another event, or none, at the position of `cursor`. For backends.
    #[must_use]
    pub fn history_changed(cursor: Cursor) -> Self {
        let message = format!(
            "the log has another event at cursor {cursor}, or none: it was replaced or restored, \
             or the cursor is of another log; begin again from the start"
        );
        Self::new(ErrorKind::HistoryChanged, message)
    }

    /// Creates a [`Backend`](ErrorKind::Backend) error: the projection's own
    /// code failed. For backends.
    pub fn projection_failed(id: &ProjectionId, source: impl Into<BoxError>) -> Self {
        let message = format!("projection {id} failed: fix it, then reset or resume it");
        Self::with_source(ErrorKind::Backend, message, source)
    }

    /// Creates an [`Invalid`](ErrorKind::Invalid): the projection has no read
    /// model yet. For backends.
    #[must_use]
    pub fn never_projected(id: &ProjectionId) -> Self {
        Self::invalid(format!("projection {id} has no read model yet: run it first"))
    }

    /// Creates a [`TooLarge`](ErrorKind::TooLarge) for a call that exceeds
    /// `limit`.
    pub fn too_large(message: impl Into<String>, limit: usize) -> Self {
        let inner = Inner {
            kind: ErrorKind::TooLarge,
            message: message.into(),
            conflicts: Vec::new(),
            limit: Some(limit),
            source: None,
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    fn build(
        kind: ErrorKind,
        message: String,
        conflicts: Vec<FailedCheck>,
        source: Option<BoxError>,
    ) -> Self {
        Self { inner: Arc::new(Inner { kind, message, conflicts, limit: None, source }) }
    }

    /// The kind of this error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Every check that failed, if this is a [`Conflict`](ErrorKind::Conflict);
    /// empty otherwise.
    #[must_use]
    pub fn failed_checks(&self) -> &[FailedCheck] {
        &self.inner.conflicts
    }

    /// The limit that was exceeded, in bytes or as a count, if this is a
    /// [`TooLarge`](ErrorKind::TooLarge) whose limit is known.
    #[must_use]
    pub fn limit(&self) -> Option<usize> {
        self.inner.limit
    }

    /// Whether repeating the same call may succeed.
    ///
    /// A conflict is *not* retryable in this sense: the same call fails again
    /// until the caller has read the new events.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Overloaded
                | ErrorKind::Busy
                | ErrorKind::StorageFull
                | ErrorKind::Unavailable
                | ErrorKind::OutcomeUnknown
        )
    }

    /// Whether the cursor belongs to another history of the log:
    /// [`CursorAhead`](ErrorKind::CursorAhead) or
    /// [`HistoryChanged`](ErrorKind::HistoryChanged).
    #[must_use]
    pub fn is_other_history(&self) -> bool {
        matches!(self.kind(), ErrorKind::CursorAhead | ErrorKind::HistoryChanged)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.inner.kind).field("message", &self.inner.message);
        if let Some(source) = &self.inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn a_conflict_names_every_failed_check() {
        let stream = |name| StreamId::new(name).unwrap();
        let error = Error::conflict(vec![
            FailedCheck::Stream {
                stream: stream("flight-UA1545"),
                expected: Expected::NoStream,
                actual: Some(Version::FIRST),
            },
            FailedCheck::Stream {
                stream: stream("flight-AA1141"),
                expected: Expected::Exists,
                actual: None,
            },
        ]);
        assert_eq!(error.failed_checks().len(), 2);
        assert!(!error.is_retryable());
        assert_eq!(
            error.to_string(),
            "stream 'flight-UA1545' was expected to have no events but is at version 1; \
             stream 'flight-AA1141' was expected to exist but has no events"
        );
    }

    #[test]
    fn the_source_is_reached_through_the_chain_only() {
        let error = Error::with_source(ErrorKind::Backend, "the driver failed", "disk on fire");
        assert_eq!(error.to_string(), "the driver failed");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("disk on fire"));
    }
}
