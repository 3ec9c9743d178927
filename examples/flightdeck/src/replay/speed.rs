use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How fast the day goes by: 60 is a minute of the day in every second.
///
/// Between 1, as it was, and 3600, an hour in every second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Speed(f64);

impl Speed {
    /// As the day was.
    pub const SLOWEST: Self = Self(1.0);
    /// An hour in every second.
    pub const FASTEST: Self = Self(3600.0);

    /// How much of the day goes by in this time.
    #[must_use]
    pub fn of_the_day(self, real: Duration) -> Duration {
        real.mul_f64(self.0)
    }

    /// How long this much of the day takes.
    #[must_use]
    pub fn in_reality(self, day: Duration) -> Duration {
        day.div_f64(self.0)
    }
}

impl Default for Speed {
    /// A minute in every second.
    fn default() -> Self {
        Self(60.0)
    }
}

/// A number that is not a speed.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidSpeed;

impl fmt::Display for InvalidSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (Speed::SLOWEST, Speed::FASTEST);
        write!(
            f,
            "a speed is a number from {least} (as the day was) to {most} (an hour in every second)"
        )
    }
}

impl std::error::Error for InvalidSpeed {}

impl TryFrom<f64> for Speed {
    type Error = InvalidSpeed;

    fn try_from(factor: f64) -> Result<Self, InvalidSpeed> {
        let speed = Self(factor);
        (Self::SLOWEST..=Self::FASTEST).contains(&speed).then_some(speed).ok_or(InvalidSpeed)
    }
}

impl From<Speed> for f64 {
    fn from(speed: Speed) -> Self {
        speed.0
    }
}

impl FromStr for Speed {
    type Err = InvalidSpeed;

    fn from_str(text: &str) -> Result<Self, InvalidSpeed> {
        text.parse::<f64>().map_err(|_| InvalidSpeed)?.try_into()
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_speeds_are_speeds() {
        assert_eq!("3600".parse(), Ok(Speed::FASTEST));
        for text in ["", "0", "0.9", "3601", "-60", "NaN", "inf", "fast"] {
            assert_eq!(text.parse::<Speed>(), Err(InvalidSpeed), "'{text}' was taken");
        }
    }

    #[test]
    fn a_minute_goes_by_in_a_second() {
        let second = Duration::from_secs(1);
        assert_eq!(Speed::default().of_the_day(second), Duration::from_mins(1));
        assert_eq!(Speed::default().in_reality(Duration::from_mins(1)), second);
    }
}
