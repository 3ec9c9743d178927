use serde::{Deserialize, Serialize};

use super::{Gate, Timetable};
use crate::flight::ClockTime;

/// The events of a flight.
///
/// The variants' names are the event types, their fields the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub enum FlightEvent {
    /// The flight was put on the board.
    FlightScheduled {
        /// When, by the replay's clock, as in all events.
        at: ClockTime,
        /// The line on the board.
        #[serde(flatten)]
        timetable: Timetable,
    },
    /// Boarding started.
    BoardingStarted {
        /// When.
        at: ClockTime,
    },
    /// The departure was moved to a later time.
    FlightDelayed {
        /// When this was announced.
        at: ClockTime,
        /// The additional delay.
        minutes: u32,
        /// The new time of departure.
        departs: ClockTime,
        /// The reason, if given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who decided it.
        by: Party,
    },
    /// The gate was changed.
    GateChanged {
        /// When this was announced.
        at: ClockTime,
        /// The new gate.
        gate: Gate,
        /// The previous gate.
        before: Gate,
        /// Who decided it.
        by: Party,
    },
    /// The flight departed.
    FlightDeparted {
        /// When.
        at: ClockTime,
    },
    /// The flight arrived at its destination.
    FlightLanded {
        /// When.
        at: ClockTime,
    },
    /// The flight was cancelled.
    FlightCancelled {
        /// When this was announced.
        at: ClockTime,
        /// The reason, if given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who decided it.
        by: Party,
    },
    /// The flight was diverted to another airport.
    FlightDiverted {
        /// When.
        at: ClockTime,
    },
}

impl FlightEvent {
    /// When it happened, by the replay's clock.
    #[must_use]
    pub fn at(&self) -> ClockTime {
        match self {
            Self::FlightScheduled { at, .. }
            | Self::BoardingStarted { at }
            | Self::FlightDelayed { at, .. }
            | Self::GateChanged { at, .. }
            | Self::FlightDeparted { at }
            | Self::FlightLanded { at }
            | Self::FlightCancelled { at, .. }
            | Self::FlightDiverted { at } => *at,
        }
    }
}

/// Who decided something: the airline in the records, or a visitor of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The airline, on 1 January 2013.
    Airline,
    /// A visitor of the page.
    Visitor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_a_type_and_its_fields_are_the_payload() {
        let event = FlightEvent::FlightDelayed {
            at: ClockTime::new(5, 0),
            minutes: 20,
            departs: ClockTime::new(5, 35),
            reason: None,
            by: Party::Visitor,
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"FlightDelayed":{"at":"2013-01-01T05:00","minutes":20,"departs":"2013-01-01T05:35","by":"visitor"}}"#
        );
    }
}
