use std::error::Error as StdError;
use std::fmt;

use crate::error::{Error, ErrorKind};

/// A command that was not carried out. Nothing was written, unless the store
/// says that it does not know.
///
/// Exhaustive: whoever gives commands has to mind all of it.
#[derive(Clone, Debug)]
pub enum ExecuteError<R> {
    /// The decider's own refusal.
    Refused(R),
    /// The store did not take it, in as many attempts and as much time as were
    /// allowed. A [`Conflict`](ErrorKind::Conflict) means that somebody else
    /// was faster every time, and an [`OutcomeUnknown`](ErrorKind::OutcomeUnknown)
    /// that the command should be given again with the same id.
    Store(Error),
    /// An event of the stream cannot be read as one of the decider's, so
    /// nothing can be decided on it.
    Undecodable(Error),
}

impl<R> ExecuteError<R> {
    /// The refusal, if it is one.
    #[must_use]
    pub fn as_refused(&self) -> Option<&R> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Store(_) | Self::Undecodable(_) => None,
        }
    }

    /// What the store or the stream answered, if it is not a refusal.
    #[must_use]
    pub fn as_error(&self) -> Option<&Error> {
        match self {
            Self::Refused(_) => None,
            Self::Store(error) | Self::Undecodable(error) => Some(error),
        }
    }

    /// Whether giving the same command again, with the same id, may succeed.
    /// A refusal is not retryable in this sense.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.as_error()
            .is_some_and(|error| error.is_retryable() || error.kind() == ErrorKind::Conflict)
    }
}

/// So that `?` works beside other calls of this crate.
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
    // The refusal and the error speak for themselves, so the chain goes on below them.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.as_error().and_then(StdError::source)
    }
}
