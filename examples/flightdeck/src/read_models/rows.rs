//! The rows of the read models, as pages get them.

use serde::{Deserialize, Serialize};

use crate::flight::ClockTime;
use crate::flight::{FlightId, Gate};

/// A row of the query `board`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FlightRow {
    id: FlightId,
    /// The version of the flight's stream.
    version: u64,
    airline: String,
    from: String,
    to: String,
    /// The destination's name on the board.
    city: String,
    /// The aircraft's registration, if recorded.
    aircraft: Option<String>,
    gate: Gate,
    scheduled: ClockTime,
    arrives: ClockTime,
    /// When it is expected to depart, or has departed.
    departs: ClockTime,
    landed: Option<ClockTime>,
    status: FlightStatus,
    was_diverted: bool,
    /// The time of the last event.
    changed: ClockTime,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
enum FlightStatus {
    Scheduled,
    Boarding,
    Delayed,
    Departed,
    Diverted,
    Landed,
    Cancelled,
}

/// A row of the query `punctuality`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PunctualityRow {
    airline: String,
    departed: u64,
    /// Those that departed less than fifteen minutes late.
    on_time: u64,
    /// The sum over all departures.
    minutes_late: u64,
    cancelled: u64,
    diverted: u64,
}

/// A row of the query `routes`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RouteRow {
    /// Origin and destination, `EWR-IAH`.
    id: String,
    from: String,
    to: String,
    /// The destination's name on the board.
    city: String,
    departed: u64,
}
