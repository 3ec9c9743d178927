use std::fmt;

use crate::error::{Error, ErrorKind};

/// Why a live query has no answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LiveError {
    /// There is no query with this name.
    UnknownQuery(String),
    /// The principal may not ask this query; says why.
    Forbidden(String),
    /// A parameter is unknown, missing or invalid.
    BadParameter {
        /// The name of the parameter.
        name: String,
        /// What is wrong with it, and what to do.
        detail: String,
    },
    /// The answer has too many rows or bytes.
    TooLarge(String),
    /// The evaluation was interrupted, because it took too long.
    TooSlow,
    /// The read model is being built.
    Rebuilding,
    /// The read model did not contain the cursor in time.
    Behind,
    /// There are too many live queries.
    Limit {
        /// What there are too many of.
        detail: String,
        /// The limit.
        limit: usize,
    },
    /// The store failed, or a cursor is not of this log.
    Store(Error),
}

impl LiveError {
    /// Whether the same query may have an answer later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::UnknownQuery(_)
            | Self::Forbidden(_)
            | Self::BadParameter { .. }
            | Self::TooLarge(_) => false,
            Self::TooSlow | Self::Rebuilding | Self::Behind | Self::Limit { .. } => true,
            Self::Store(error) => {
                !matches!(error.kind(), ErrorKind::Invalid) && !error.is_other_history()
            }
        }
    }
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownQuery(name) => {
                write!(f, "there is no live query '{name}': ask for one that the server has")
            }
            Self::Forbidden(detail)
            | Self::BadParameter { detail, .. }
            | Self::TooLarge(detail)
            | Self::Limit { detail, .. } => f.write_str(detail),
            Self::TooSlow => f.write_str(
                "the live query was interrupted, because it took too long: ask for less, by a \
                 parameter of the query, or repeat the request later",
            ),
            Self::Rebuilding => {
                f.write_str("the read model is being built: repeat the request later")
            }
            Self::Behind => f.write_str(
                "the read model did not contain 'at_least' within 'wait': repeat the request",
            ),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for LiveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for LiveError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
