use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits;

/// The media type of a payload: `application/json` by default.
///
/// JSON payloads are validated when the event is made, and are embedded
/// unchanged in what subscribers receive. All other payloads are opaque bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Option<Arc<str>>);

impl ContentType {
    /// `application/json`.
    pub const JSON: Self = Self(None);

    const JSON_TEXT: &'static str = "application/json";

    /// Creates a content type from its name, such as `application/cbor`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if it is empty or not printable ASCII,
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above 255 bytes.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        if name == Self::JSON_TEXT {
            return Ok(Self::JSON);
        }
        if name.len() > limits::MAX_NAME_BYTES {
            let message = format!("a content type has at most {} bytes", limits::MAX_NAME_BYTES);
            return Err(Error::too_large(message, limits::MAX_NAME_BYTES));
        }
        if name.is_empty() || !name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(Error::invalid(format!(
                "the content type {name:?} is not printable ASCII: use one like 'application/cbor'"
            )));
        }
        Ok(Self(Some(name.into())))
    }

    /// Whether this is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.0.is_none()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(Self::JSON_TEXT)
    }
}

impl Default for ContentType {
    fn default() -> Self {
        Self::JSON
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn json_is_one_value_however_it_is_named() {
        assert_eq!(ContentType::new("application/json").unwrap(), ContentType::JSON);
        assert!(!ContentType::new("application/cbor").unwrap().is_json());
    }

    #[test]
    fn invalid_header_values_are_refused() {
        assert!(ContentType::new("").is_err());
        assert!(ContentType::new("a\nb").is_err());
        assert!(ContentType::new("é").is_err());
        assert!(ContentType::new("x".repeat(255)).is_ok());
        assert_eq!(ContentType::new("x".repeat(256)).unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
