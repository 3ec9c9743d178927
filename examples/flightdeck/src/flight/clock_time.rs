use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::date::Date;

const MINUTES_OF_A_DAY: u32 = 24 * 60;

/// A minute in New York's local time, counted from midnight of 1 January 2013.
///
/// Formatted and parsed as `2013-01-01T05:15`, without a time zone. The last value is
/// the last minute of January 2014; later times are clamped to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct ClockTime {
    minute: u32,
}

impl ClockTime {
    /// The last minute.
    pub const LAST: Self = Self { minute: (Date::LAST.days() + 1) * MINUTES_OF_A_DAY - 1 };

    /// The time of this many minutes after midnight of 1 January.
    #[must_use]
    pub const fn from_minute(minute: u32) -> Self {
        if minute > Self::LAST.minute { Self::LAST } else { Self { minute } }
    }

    /// A time of 1 January.
    #[must_use]
    pub const fn new(hour: u32, minute: u32) -> Self {
        Self::from_minute(hour * 60 + minute)
    }

    /// The same time of day on this date.
    #[must_use]
    pub const fn on(self, date: Date) -> Self {
        self.plus(date.days() * MINUTES_OF_A_DAY)
    }

    /// The minutes since midnight of 1 January.
    #[must_use]
    pub const fn minute(self) -> u32 {
        self.minute
    }

    /// The time this many minutes later.
    #[must_use]
    pub const fn plus(self, minutes: u32) -> Self {
        Self::from_minute(self.minute.saturating_add(minutes))
    }

    /// The time this many minutes earlier, but not before midnight of 1 January.
    #[must_use]
    pub const fn minus(self, minutes: u32) -> Self {
        Self::from_minute(self.minute.saturating_sub(minutes))
    }

    /// The time this many minutes later, or earlier if the number is negative.
    #[must_use]
    pub const fn shifted(self, minutes: i32) -> Self {
        Self::from_minute(self.minute.saturating_add_signed(minutes))
    }

    /// The minutes from `earlier` to this time; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.minute.saturating_sub(earlier.minute)
    }

    /// The hour and minute only, such as `05:15`.
    #[must_use]
    pub fn short(self) -> String {
        format!("{:02}:{:02}", self.minute / 60 % 24, self.minute % 60)
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", Date::from_days(self.minute / MINUTES_OF_A_DAY), self.short())
    }
}

/// The error of a text that is not a valid time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTime(String);

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a time such as 2013-01-01T05:15", self.0)
    }
}

impl std::error::Error for InvalidTime {}

impl FromStr for ClockTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        parse(text).ok_or_else(|| InvalidTime(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<ClockTime> {
    let (date, time) = text.split_once('T')?;
    let (hour, minute) = time.split_once(':')?;
    let time = ClockTime::new(number(hour, 2, 23)?, number(minute, 2, 59)?);
    let (year, month_and_day) = date.split_once('-')?;
    let (month, day) = month_and_day.split_once('-')?;
    let date = Date::new(number(year, 4, 9999)?, number(month, 2, 12)?, number(day, 2, 31)?)?;
    Some(time.on(date))
}

/// Parses a number with exactly this many digits, up to `most`.
fn number(text: &str, digits: usize, most: u32) -> Option<u32> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok())??;
    (number <= most).then_some(number)
}

impl Serialize for ClockTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_and_parsing_round_trip() {
        for minute in (0..=ClockTime::LAST.minute()).step_by(7) {
            let time = ClockTime::from_minute(minute);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn a_day_starts_at_midnight() {
        assert_eq!(ClockTime::new(23, 59).plus(1).to_string(), "2013-01-02T00:00");
        assert_eq!(ClockTime::new(24, 0).short(), "00:00");
    }

    #[test]
    fn invalid_texts_are_refused() {
        for text in [
            "",
            "05:15",
            "2013-01-01",
            "2013-01-01T5:15",
            "2013-01-01T24:00",
            "2013-01-00T05:15",
            "2013-02-29T05:15",
            "2014-02-01T05:15",
            "2013-01-01T+5:15",
        ] {
            assert!(text.parse::<ClockTime>().is_err(), "'{text}' was accepted");
        }
    }

    #[test]
    fn times_are_clamped() {
        assert_eq!(ClockTime::LAST.plus(u32::MAX), ClockTime::LAST);
        assert_eq!(ClockTime::new(0, 1).minus(2), ClockTime::default());
        assert_eq!(ClockTime::new(0, 1).shifted(-2), ClockTime::default());
    }
}
