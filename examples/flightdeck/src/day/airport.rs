use std::collections::HashMap;

use serde::Deserialize;

/// The hours from UTC of New York's clocks in January.
const NEW_YORK: i32 = -5;

/// An airport of the day.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Airport {
    code: String,
    /// Its name, short enough for a board.
    pub(super) city: String,
    utc_offset: i32,
}

impl Airport {
    /// What its clocks are ahead of New York's, in hours.
    pub(super) fn hours_ahead(&self) -> i32 {
        self.utc_offset - NEW_YORK
    }
}

/// Reads the list of airports, by code.
pub(super) fn read(csv: &str) -> Result<HashMap<String, Airport>, csv::Error> {
    csv::Reader::from_reader(csv.as_bytes())
        .deserialize()
        .map(|airport| airport.map(|airport: Airport| (airport.code.clone(), airport)))
        .collect()
}
