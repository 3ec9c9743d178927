use std::fmt;
use std::num::NonZeroU64;

/// The number of an event within its stream: 1 for the first, then 2, 3, …
/// without gaps.
///
/// `Option<Version>` is the version of a stream: `None` means that it has no
/// events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(NonZeroU64);

impl Version {
    /// The version of a stream's first event.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The highest version: 2⁶³ − 1, so that it fits a database's signed 64-bit
    /// integer.
    pub const MAX: Self = Self(NonZeroU64::new(i64::MAX.unsigned_abs()).expect("not zero"));

    /// The version with this number; `None` for zero and above [`MAX`](Self::MAX).
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() <= Self::MAX.0.get() => Some(Self(number)),
            _ => None,
        }
    }

    /// The version after this one.
    ///
    /// # Panics
    ///
    /// Panics after 2⁶³ − 1 events in one stream.
    #[must_use]
    pub fn next(self) -> Self {
        Self::new(self.0.get() + 1).expect("fewer than 2^63 events in a stream")
    }

    /// The version after `last`, which is `None` for a stream without events.
    ///
    /// # Panics
    ///
    /// Panics after 2⁶³ − 1 events in one stream.
    #[must_use]
    pub fn following(last: Option<Self>) -> Self {
        last.map_or(Self::FIRST, Self::next)
    }

    /// The version before this one; `None` before the first.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        Self::new(self.0.get() - 1)
    }

    /// The version as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_one() {
        assert_eq!(Version::new(0), None);
        assert_eq!(Version::following(None), Version::FIRST);
        assert_eq!(Version::FIRST.next().get(), 2);
        assert_eq!(Version::FIRST.previous(), None);
        assert_eq!(Version::new(u64::MAX), None);
    }
}
