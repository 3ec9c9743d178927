use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::date::Date;

const MINUTES_OF_A_DAY: u32 = 24 * 60;

/// A minute on New York's clocks, counted from midnight of 1 January 2013.
///
/// Written and read as `2013-01-01T05:15`, without a zone: everything on the
/// board is the time of the hall that the board hangs in. It ends with the
/// January after that year; later times are taken as its last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClockTime {
    minute: u32,
}

impl ClockTime {
    /// The last minute of this clock.
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

    /// This minute of another day, counted from its midnight.
    #[must_use]
    pub const fn on(self, date: Date) -> Self {
        self.plus(date.days() * MINUTES_OF_A_DAY)
    }

    /// The minutes since midnight of 1 January.
    #[must_use]
    pub const fn minute(self) -> u32 {
        self.minute
    }

    /// The time so many minutes later.
    #[must_use]
    pub const fn plus(self, minutes: u32) -> Self {
        Self::from_minute(self.minute.saturating_add(minutes))
    }

    /// The time so many minutes earlier, but not before midnight of 1 January.
    #[must_use]
    pub const fn minus(self, minutes: u32) -> Self {
        Self::from_minute(self.minute.saturating_sub(minutes))
    }

    /// The time so many minutes later, or earlier if there are fewer than none.
    #[must_use]
    pub const fn shifted(self, minutes: i32) -> Self {
        Self::from_minute(self.minute.saturating_add_signed(minutes))
    }

    /// The minutes from `earlier` to this time; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.minute.saturating_sub(earlier.minute)
    }

    /// The hour and minute alone, `05:15`, as people say it.
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

/// A text that is not a time of this clock.
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

/// A number of exactly so many digits.
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
    fn text_and_back_is_the_same_minute() {
        for minute in (0..=ClockTime::LAST.minute()).step_by(7) {
            let time = ClockTime::from_minute(minute);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn midnight_begins_the_next_day() {
        assert_eq!(ClockTime::new(23, 59).plus(1).to_string(), "2013-01-02T00:00");
        assert_eq!(ClockTime::new(24, 0).short(), "00:00");
    }

    #[test]
    fn other_texts_are_refused() {
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
            assert!(text.parse::<ClockTime>().is_err(), "'{text}' was read");
        }
    }

    #[test]
    fn the_clock_neither_overflows_nor_goes_below_zero() {
        assert_eq!(ClockTime::LAST.plus(u32::MAX), ClockTime::LAST);
        assert_eq!(ClockTime::new(0, 1).minus(2), ClockTime::default());
        assert_eq!(ClockTime::new(0, 1).shifted(-2), ClockTime::default());
    }
}
