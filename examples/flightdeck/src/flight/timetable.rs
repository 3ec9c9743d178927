use serde::{Deserialize, Serialize};

use super::{FlightId, Gate};
use crate::clock_time::ClockTime;

/// What is known of a flight before anything happens: the line on the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timetable {
    /// The name of the flight.
    pub flight: FlightId,
    /// The carrier's two letters, `UA`.
    pub airline: String,
    /// The airport it leaves: `EWR`, `JFK` or `LGA`.
    pub from: String,
    /// The airport it goes to, `IAH`.
    pub to: String,
    /// That airport's name on the board, `Houston IAH`.
    pub city: String,
    /// The aircraft's registration, where it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aircraft: Option<String>,
    /// Where it is to be boarded.
    pub gate: Gate,
    /// When it is to leave.
    pub departs: ClockTime,
    /// When it is to arrive, by New York's clocks.
    pub arrives: ClockTime,
}

impl Timetable {
    /// The words by which all events of the flight are found: its airport, its
    /// airline and its destination, as in `airport:EWR`.
    #[must_use]
    pub fn tags(&self) -> [String; 3] {
        [
            format!("airport:{}", self.from),
            format!("airline:{}", self.airline),
            format!("dest:{}", self.to),
        ]
    }
}
