use std::error::Error as StdError;
use std::fmt;

use crate::error::{Error, ErrorKind};

/// The error of a command that was not executed. Nothing was written, except
/// perhaps after an [`OutcomeUnknown`](ErrorKind::OutcomeUnknown).
///
/// Exhaustive, since callers have to handle every variant.
#[derive(Clone, Debug)]
pub enum ExecuteError<R> {
    /// The decider refused the command.
    Refused(R),
    /// The store failed to read or append, within the allowed attempts and
    /// time. A [`Conflict`](ErrorKind::Conflict) means that another writer was
    /// faster every time, an [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) that
    /// the command should be repeated with the same id.
    Store(Error),
    /// An event of the stream cannot be decoded by the decider's schema, so
    /// nothing was decided.
    Undecodable(Error),
}

impl<R> ExecuteError<R> {
    /// The decider's refusal, if this is one.
    #[must_use]
    pub fn as_refused(&self) -> Option<&R> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Store(_) | Self::Undecodable(_) => None,
        }
    }

    /// The error of the store or of decoding, if this is not a refusal.
    #[must_use]
    pub fn as_error(&self) -> Option<&Error> {
        match self {
            Self::Refused(_) => None,
            Self::Store(error) | Self::Undecodable(error) => Some(error),
        }
    }

    /// Whether repeating the same command, with the same id, may succeed. A
    /// refusal is not retryable in this sense.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.as_error()
            .is_some_and(|error| error.is_retryable() || error.kind() == ErrorKind::Conflict)
    }
}

/// Allows `?` with other calls of this crate.
impl<R> From<Error> for ExecuteError<R> {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl<R: fmt::Display> fmt::Display for ExecuteError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Store(error) | Self::Undecodable(error) => error.fmt(f),
        }
    }
}

impl<R: fmt::Debug + fmt::Display> StdError for ExecuteError<R> {
    // `Display` prints the refusal or error itself, so the chain continues with its source.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.as_error().and_then(StdError::source)
    }
}
