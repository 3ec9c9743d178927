use serde::{Deserialize, Serialize};

use super::{FlightId, Gate};
use crate::flight::ClockTime;

/// The timetable entry of a flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Timetable {
    /// The name of the flight.
    pub flight: FlightId,
    /// The carrier's two letters, `UA`.
    pub airline: String,
    /// The origin: `EWR`, `JFK` or `LGA`.
    pub from: String,
    /// The destination, `IAH`.
    pub to: String,
    /// The destination's name on the board, `Houston IAH`.
    pub city: String,
    /// The aircraft's registration, if recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aircraft: Option<String>,
    /// The initial gate.
    pub gate: Gate,
    /// The scheduled departure.
    pub departs: ClockTime,
    /// The scheduled arrival, in New York's local time.
    pub arrives: ClockTime,
}

impl Timetable {
    /// The tags of all events of the flight: airport, airline and destination, as in
    /// `airport:EWR`.
    #[must_use]
    pub fn tags(&self) -> [String; 3] {
        [
            format!("airport:{}", self.from),
            format!("airline:{}", self.airline),
            format!("dest:{}", self.to),
        ]
    }
}
