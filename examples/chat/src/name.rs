use std::fmt;

use downlink::ErrorKind;
use serde::{Deserialize, Serialize};

/// The name of a person or a room: one line of 1 to 40 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The maximum number of characters.
    pub const MAX_CHARS: usize = 40;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let text = text.trim();
        let has_length = (1..=Self::MAX_CHARS).contains(&text.chars().count());
        let is_line = !text.chars().any(char::is_control);
        if has_length && is_line { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of a text that is not a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name is one line of 1 to {} characters", Name::MAX_CHARS)
    }
}

impl std::error::Error for InvalidName {}

impl From<InvalidName> for downlink::Error {
    fn from(error: InvalidName) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_single_lines() {
        let of = |text: &str| Name::try_from(text.to_owned()).map(|name| name.0);
        assert_eq!(of(" Ada "), Ok("Ada".to_owned()));
        assert_eq!(of(&"é".repeat(40)), Ok("é".repeat(40)));
        for bad in ["", "  ", "a\nb", &"é".repeat(41)] {
            assert_eq!(of(bad), Err(InvalidName), "{bad:?}");
        }
    }
}
