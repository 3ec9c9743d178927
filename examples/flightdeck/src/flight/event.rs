use serde::{Deserialize, Serialize};

use super::{Gate, Timetable};
use crate::clock_time::ClockTime;

/// What happened to a flight.
///
/// The names of the variants are the event types on the wire, their fields the
/// payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlightEvent {
    /// The flight came onto the board.
    FlightScheduled {
        /// When, by the replay's clock; so in every event.
        at: ClockTime,
        /// The line on the board.
        #[serde(flatten)]
        timetable: Timetable,
    },
    /// Passengers are called to the gate.
    BoardingStarted {
        /// When.
        at: ClockTime,
    },
    /// The flight will leave later than was said before.
    FlightDelayed {
        /// When this was announced.
        at: ClockTime,
        /// How much later.
        minutes: u32,
        /// The new time of departure.
        departs: ClockTime,
        /// Why, if somebody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who decided it.
        by: Party,
    },
    /// The flight is boarded elsewhere than was said before.
    GateChanged {
        /// When this was announced.
        at: ClockTime,
        /// The new gate.
        gate: Gate,
        /// The gate before.
        before: Gate,
        /// Who decided it.
        by: Party,
    },
    /// The flight left the gate.
    FlightDeparted {
        /// When.
        at: ClockTime,
    },
    /// The flight arrived at its destination.
    FlightLanded {
        /// When.
        at: ClockTime,
    },
    /// The flight will not leave.
    FlightCancelled {
        /// When this was announced.
        at: ClockTime,
        /// Why, if somebody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who decided it.
        by: Party,
    },
    /// The flight went to another airport than its destination.
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

/// Who decided something: the records of the day, or a person at the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The airline, on 1 January 2013.
    Airline,
    /// Somebody who looks at the board now.
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
