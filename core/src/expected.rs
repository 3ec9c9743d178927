use std::fmt;

use crate::id::Version;

/// What an append requires of a stream's version, for optimistic concurrency
/// control.
///
/// Exhaustive, since a backend has to support every variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// No requirement.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has at least one event.
    Exists,
    /// The stream's last event has this version.
    Exact(Version),
}

impl Expected {
    /// Requires exactly this state: `version`, or no events if `None`.
    #[must_use]
    pub fn at(version: Option<Version>) -> Self {
        version.map_or(Self::NoStream, Self::Exact)
    }

    /// Whether a stream at `version` is as expected.
    #[must_use]
    pub fn holds(self, version: Option<Version>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version.is_none(),
            Self::Exists => version.is_some(),
            Self::Exact(expected) => version == Some(expected),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("to be anything"),
            Self::NoStream => f.write_str("to have no events"),
            Self::Exists => f.write_str("to exist"),
            Self::Exact(version) => write!(f, "to be at version {version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expectation_holds_for_its_own_state() {
        let (none, first) = (None, Some(Version::FIRST));
        let table = [
            (Expected::Any, true, true),
            (Expected::NoStream, true, false),
            (Expected::Exists, false, true),
            (Expected::Exact(Version::FIRST), false, true),
            (Expected::Exact(Version::FIRST.next()), false, false),
        ];
        for (expected, without_events, at_one) in table {
            assert_eq!(expected.holds(none), without_events, "{expected}");
            assert_eq!(expected.holds(first), at_one, "{expected}");
        }
        assert_eq!(Expected::at(None), Expected::NoStream);
    }
}
