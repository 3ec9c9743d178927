use std::fmt;

/// The position of an event in the log.
///
/// Positions strictly increase in commit order, but may have gaps: compare
/// them, never subtract them. [`ZERO`](Self::ZERO) is before every event and
/// never the position of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The highest position: 2⁶³ − 1, so that it fits a database's signed
    /// 64-bit integer.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// The position with this number; `None` above [`MAX`](Self::MAX).
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The position as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The lowest position that a later event may have.
    ///
    /// # Panics
    ///
    /// Panics after 2⁶³ − 1 positions.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0 + 1).expect("fewer than 2^63 positions in a log")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_signed_64_bit_integer() {
        assert_eq!(Position::new(0), Some(Position::ZERO));
        assert_eq!(Position::new(i64::MAX.unsigned_abs()), Some(Position::MAX));
        assert_eq!(Position::new(i64::MAX.unsigned_abs() + 1), None);
        assert!(Position::ZERO.next() > Position::ZERO);
    }
}
