use std::fmt;

const DAYS_OF_A_YEAR: u32 = 365;

/// The days before each month. This calendar has no leap year.
const BEFORE: [u32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/// A day of 2013 or January 2014.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// Days after 1 January 2013.
    day: u32,
}

impl Date {
    /// 1 January 2013, the replayed day.
    pub const NEW_YEAR: Self = Self { day: 0 };

    /// 31 January 2014.
    pub const LAST: Self = Self { day: DAYS_OF_A_YEAR + 30 };

    /// The date with this year, month and day of the month, the latter two counted from 1;
    /// `None` if it does not exist or is out of range.
    #[must_use]
    pub fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        let month = usize::try_from(month).ok()?.checked_sub(1)?;
        let (before, end) = (*BEFORE.get(month)?, *BEFORE.get(month + 1)?);
        if !(2013..=2014).contains(&year) || !(1..=end - before).contains(&day) {
            return None;
        }
        let date = Self { day: (year - 2013) * DAYS_OF_A_YEAR + before + day - 1 };
        (date <= Self::LAST).then_some(date)
    }

    /// The day this many days after 1 January 2013, clamped to [`LAST`](Self::LAST).
    #[must_use]
    pub const fn from_days(days: u32) -> Self {
        if days > Self::LAST.day { Self::LAST } else { Self { day: days } }
    }

    /// The days after 1 January 2013.
    #[must_use]
    pub const fn days(self) -> u32 {
        self.day
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> u32 {
        2013 + self.day / DAYS_OF_A_YEAR
    }

    /// The month, counted from 1, and the day of the month.
    ///
    /// # Panics
    ///
    /// Never: every day is in a month, and a test checks all days.
    #[must_use]
    pub fn month_and_day(self) -> (u32, u32) {
        let day = self.day % DAYS_OF_A_YEAR;
        let months = (1..).zip(BEFORE).take_while(|(_, before)| *before <= day);
        let (month, before) = months.last().expect("every day is in a month");
        (month, day - before + 1)
    }

    /// Whether daylight saving time is in effect in the United States.
    #[must_use]
    pub fn is_in_summer_time(self) -> bool {
        // From 10 March to 2 November 2013.
        (68..306).contains(&self.day)
    }
}

/// As in `2013-01-02`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (month, day) = self.month_and_day();
        write!(f, "{}-{month:02}-{day:02}", self.year())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_round_trips() {
        for days in 0..=Date::LAST.days() {
            let date = Date::from_days(days);
            let (month, day) = date.month_and_day();
            assert_eq!(Date::new(date.year(), month, day), Some(date));
        }
        assert_eq!(Date::from_days(364).to_string(), "2013-12-31");
        assert_eq!(Date::from_days(u32::MAX).to_string(), "2014-01-31");
    }

    #[test]
    fn invalid_dates_are_refused() {
        let others = [
            (2012, 12, 31),
            (2013, 2, 29),
            (2013, 13, 1),
            (2013, 0, 1),
            (2013, 1, 0),
            (2014, 2, 1),
        ];
        for (year, month, day) in others {
            assert_eq!(Date::new(year, month, day), None, "{year}-{month}-{day}");
        }
        assert_eq!(Date::new(u32::MAX, 1, u32::MAX), None);
    }

    #[test]
    fn daylight_saving_time_starts_and_ends_on_a_sunday() {
        let summer = |month, day| Date::new(2013, month, day).unwrap().is_in_summer_time();
        assert!(!summer(3, 9) && summer(3, 10) && summer(11, 2) && !summer(11, 3));
    }
}
