use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The speed of the replay: 60 is a minute of the day per second.
///
/// Between 1, real time, and 3600, an hour per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "number"))]
#[serde(try_from = "f64", into = "f64")]
pub struct Speed(f64);

impl Speed {
    /// Real time.
    pub const SLOWEST: Self = Self(1.0);
    /// An hour per second.
    pub const FASTEST: Self = Self(3600.0);

    /// The time of the day that passes in this real time.
    #[must_use]
    pub fn of_the_day(self, real: Duration) -> Duration {
        real.mul_f64(self.0)
    }

    /// The real time in which this time of the day passes.
    #[must_use]
    pub fn in_reality(self, day: Duration) -> Duration {
        day.div_f64(self.0)
    }
}

impl Default for Speed {
    /// A minute per second.
    fn default() -> Self {
        Self(60.0)
    }
}

/// The error of a number that is out of range.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidSpeed;

impl fmt::Display for InvalidSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (Speed::SLOWEST, Speed::FASTEST);
        write!(
            f,
            "a speed must be a number from {least} (real time) to {most} (an hour per second)"
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
    fn speeds_out_of_range_are_refused() {
        assert_eq!("3600".parse(), Ok(Speed::FASTEST));
        for text in ["", "0", "0.9", "3601", "-60", "NaN", "inf", "fast"] {
            assert_eq!(text.parse::<Speed>(), Err(InvalidSpeed), "'{text}' was accepted");
        }
    }

    #[test]
    fn the_default_is_a_minute_per_second() {
        let second = Duration::from_secs(1);
        assert_eq!(Speed::default().of_the_day(second), Duration::from_mins(1));
        assert_eq!(Speed::default().in_reality(Duration::from_mins(1)), second);
    }
}
