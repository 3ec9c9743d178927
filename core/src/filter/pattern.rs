use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits;

/// One value of a filter: a whole name, or the beginning of names.
///
/// Equality and prefix only, compared byte by byte, so that every backend can
/// use an index. Exhaustive: a backend has to obey all of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This name.
    Is(Arc<str>),
    /// All names that begin so.
    StartsWith(Arc<str>),
}

impl Pattern {
    /// All names that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if it is empty or has control
    /// characters, [`TooLarge`](crate::ErrorKind::TooLarge) above 255 bytes.
    pub fn prefix(prefix: &str) -> Result<Self> {
        if prefix.is_empty() || prefix.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "the prefix {prefix:?} is empty or has control characters: leave it out or name one"
            )));
        }
        if prefix.len() > limits::MAX_NAME_BYTES {
            let message = format!("a prefix has at most {} bytes", limits::MAX_NAME_BYTES);
            return Err(Error::too_large(message, limits::MAX_NAME_BYTES));
        }
        Ok(Self::StartsWith(prefix.into()))
    }

    /// Whether `name` is meant.
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
