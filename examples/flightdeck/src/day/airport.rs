use std::collections::HashMap;

use serde::Deserialize;

use crate::flight::Date;

/// New York's offset from UTC in January, in hours.
const NEW_YORK: i32 = -5;

/// A destination.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Airport {
    code: String,
    /// Its name, short enough for a board.
    pub(super) city: String,
    utc_offset: i32,
    summer_time: SummerTime,
}

/// Whether an airport has daylight saving time when New York has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SummerTime {
    Yes,
    No,
}

impl Airport {
    /// How far its local time is ahead of New York's on a day, in hours.
    pub(super) fn hours_ahead(&self, date: Date) -> i32 {
        let stays = self.summer_time == SummerTime::No && date.is_in_summer_time();
        self.utc_offset - NEW_YORK - i32::from(stays)
    }
}

/// Airports by their code.
pub(super) type Airports = HashMap<String, Airport>;

/// Reads the list of airports.
pub(super) fn read(csv: &str) -> Result<Airports, csv::Error> {
    csv::Reader::from_reader(csv.as_bytes())
        .deserialize()
        .map(|airport| airport.map(|airport: Airport| (airport.code.clone(), airport)))
        .collect()
}
