use std::fmt;

/// A client's name for a subscription (`sub`) or a request (`req`) on one
/// WebSocket.
///
/// # Examples
///
/// ```
/// use downlink_transports::wire::Label;
///
/// assert_eq!(Label::new("departures_2").unwrap().as_str(), "departures_2");
/// assert!(Label::new("two words").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label(Box<str>);

impl Label {
    /// The longest label, in bytes.
    pub const MAX_BYTES: usize = 32;

    /// Creates a label of 1 to 32 of `A-Z`, `a-z`, `0-9`, `_` and `-`; `None` for
    /// anything else.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Option<Self> {
        let text = text.into();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_label = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(is_plain);
        is_label.then_some(Self(text))
    }

    /// The text, which needs no quoting anywhere.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_plain() {
        let longest = "x".repeat(32);
        for good in ["0", "s1", "A-z_9", &*longest] {
            assert_eq!(Label::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\"", "ä", "a\n", "a.b", &*"x".repeat(33)] {
            assert!(Label::new(bad).is_none(), "{bad:?}");
        }
    }
}
