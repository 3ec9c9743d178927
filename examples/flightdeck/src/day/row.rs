use std::fmt;
use std::io;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::FlightDataError;
use super::airport::Airport;
use crate::flight::ClockTime;
use crate::flight::Date;

/// A line of the file as published; see the README in the data folder.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Row {
    year: u32,
    month: u32,
    day: u32,
    /// The scheduled date: the three fields above, once validated.
    #[serde(skip)]
    pub(super) date: Date,
    #[serde(deserialize_with = "recorded")]
    dep_time: Option<u32>,
    sched_dep_time: Hmm,
    #[serde(deserialize_with = "recorded")]
    dep_delay: Option<i32>,
    #[serde(deserialize_with = "recorded")]
    arr_time: Option<Hmm>,
    sched_arr_time: Hmm,
    pub(super) carrier: String,
    pub(super) flight: u16,
    #[serde(deserialize_with = "recorded")]
    pub(super) tailnum: Option<String>,
    pub(super) origin: String,
    pub(super) dest: String,
    #[serde(deserialize_with = "recorded")]
    air_time: Option<u32>,
}

/// The required columns. The file has more.
const COLUMNS: [&str; 14] = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
];

/// Reads the flights of a file, one by one.
pub(super) fn read(
    csv: impl io::Read,
) -> Result<impl Iterator<Item = Result<Row, FlightDataError>>, FlightDataError> {
    let mut reader = csv::Reader::from_reader(csv);
    let found = reader.headers().map_err(FlightDataError::File)?;
    let is_missing = |column: &&str| !found.iter().any(|found| found == *column);
    let missing: Vec<_> = COLUMNS.into_iter().filter(is_missing).collect();
    if !missing.is_empty() {
        return Err(FlightDataError::Columns(missing));
    }
    Ok(reader
        .into_deserialize()
        .map(|row| row.map_err(FlightDataError::File).and_then(Row::with_date)))
}

impl Row {
    fn with_date(self) -> Result<Self, FlightDataError> {
        let Self { year, month, day, .. } = self;
        let date = Date::new(year, month, day).filter(|_| year == 2013);
        let date =
            date.ok_or_else(|| FlightDataError::Date(format!("{year}-{month:02}-{day:02}")))?;
        Ok(Self { date, ..self })
    }

    /// The scheduled departure.
    pub(super) fn scheduled(&self) -> ClockTime {
        ClockTime::from_minute(self.sched_dep_time.0).on(self.date)
    }

    /// The scheduled arrival at `to`.
    pub(super) fn due(&self, to: &Airport) -> ClockTime {
        first_after(self.scheduled(), self.sched_arr_time, to.hours_ahead(self.date))
    }

    /// The departure; `None` if the flight was cancelled.
    ///
    /// Calculated from the delay and not from the time of day: one flight departed 14
    /// hours late.
    pub(super) fn departed(&self) -> Option<ClockTime> {
        self.dep_time.and(self.dep_delay).map(|delay| self.scheduled().shifted(delay))
    }

    /// The arrival at its destination; `None` if it did not depart, or never arrived.
    pub(super) fn landed(&self, to: &Airport) -> Option<ClockTime> {
        let hours = to.hours_ahead(self.date);
        self.arr_time.map(|time| first_after(self.departed().unwrap_or_default(), time, hours))
    }

    /// Whether it was diverted.
    pub(super) fn diverted(&self) -> bool {
        self.dep_time.is_some() && (self.air_time.is_none() || self.arr_time.is_none())
    }
}

/// The first minute after `departure` at which it is `time` in a place whose local time
/// is `hours` ahead.
fn first_after(departure: ClockTime, time: Hmm, hours: i32) -> ClockTime {
    const DAY: u32 = 24 * 60;
    // Two extra days, so that the subtraction stays positive.
    let here = (time.0 + 2 * DAY).saturating_add_signed(-hours * 60);
    let flying = (here % DAY + DAY - departure.minute() % DAY) % DAY;
    departure.plus(if flying == 0 { DAY } else { flying })
}

/// Minutes since midnight, written as a number: 517 is 05:17, 2400 is midnight.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Hmm(u32);

impl FromStr for Hmm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: u32 = text.parse().unwrap_or(u32::MAX);
        let (hour, minute) = (number / 100, number % 100);
        if minute < 60 && number <= 2400 {
            Ok(Self(hour * 60 + minute))
        } else {
            Err(format!("'{text}' is not a time of day such as 517"))
        }
    }
}

impl TryFrom<String> for Hmm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A field, or `None` for `NA`.
fn recorded<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "NA" => Ok(None),
        text => text.parse().map(Some).map_err(D::Error::custom),
    }
}
