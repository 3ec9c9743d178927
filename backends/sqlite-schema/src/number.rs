//! Conversion of numbers to and from SQLite, which stores signed 64-bit integers.

use downlink::{Error, ErrorKind, Position, Result, Version};

/// The number as SQLite stores it.
///
/// # Errors
///
/// [`TooLarge`](ErrorKind::TooLarge) above 2⁶³ − 1, which no position, version or time of
/// Downlink reaches.
pub fn to_sql(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|error| {
        Error::with_source(ErrorKind::TooLarge, format!("{number} does not fit in SQLite"), error)
    })
}

/// The number that SQLite stored.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is negative.
pub fn from_sql(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|error| {
        Error::with_source(
            ErrorKind::Corrupt,
            format!("the file has {number} in the place of a non-negative number"),
            error,
        )
    })
}

/// The position as SQLite stores it; every position fits.
#[must_use]
pub fn position_to_sql(position: Position) -> i64 {
    position.get().cast_signed()
}

/// The version as SQLite stores it; every version fits.
#[must_use]
pub fn version_to_sql(version: Version) -> i64 {
    version.get().cast_signed()
}

/// The position that SQLite stored.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is negative.
pub fn position_from_sql(number: i64) -> Result<Position> {
    Position::new(from_sql(number)?).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, format!("the file has {number} in the place of a position"))
    })
}

/// The version that SQLite stored.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is not positive.
pub fn version_from_sql(number: i64) -> Result<Version> {
    Version::new(from_sql(number)?).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, format!("the file has {number} in the place of a version"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_and_version_fits() {
        for number in [1, 2, i64::MAX.unsigned_abs()] {
            let (position, version) =
                (Position::new(number).unwrap(), Version::new(number).unwrap());
            assert_eq!(position_from_sql(position_to_sql(position)).unwrap(), position);
            assert_eq!(version_from_sql(version_to_sql(version)).unwrap(), version);
        }
    }

    #[test]
    fn invalid_numbers_are_corrupt() {
        for error in [
            position_from_sql(-1).unwrap_err(),
            version_from_sql(-1).unwrap_err(),
            version_from_sql(0).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        assert_eq!(to_sql(u64::MAX).unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
