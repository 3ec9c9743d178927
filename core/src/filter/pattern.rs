use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits;

/// One value of a filter: a whole name or a prefix of names.
///
/// Only equality and prefixes, compared byte by byte, so that every backend can
/// use an index. Exhaustive, since a backend has to support every variant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Exactly this name.
    Is(Arc<str>),
    /// All names that begin with this text.
    StartsWith(Arc<str>),
}

impl Pattern {
    /// Creates a pattern that matches all names that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if it is empty or contains
    /// control characters, [`TooLarge`](crate::ErrorKind::TooLarge) above 255
    /// bytes.
    pub fn prefix(prefix: &str) -> Result<Self> {
        if prefix.is_empty() || prefix.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "the prefix {prefix:?} is empty or contains control characters: remove it or correct it"
            )));
        }
        if prefix.len() > limits::MAX_NAME_BYTES {
            let message = format!("a prefix has at most {} bytes", limits::MAX_NAME_BYTES);
            return Err(Error::too_large(message, limits::MAX_NAME_BYTES));
        }
        Ok(Self::StartsWith(prefix.into()))
    }

    /// Whether `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Is(whole) => **whole == *name,
            Self::StartsWith(prefix) => name.starts_with(&**prefix),
        }
    }

    /// The name or the prefix.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Is(text) | Self::StartsWith(text) => text,
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(whole) => write!(f, "{whole:?}"),
            Self::StartsWith(prefix) => write!(f, "{prefix:?}*"),
        }
    }
}
