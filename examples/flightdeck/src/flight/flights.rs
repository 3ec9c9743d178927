use std::sync::LazyLock;

use downlink::{BoxError, Decider, Schema, Tag};
use serde_json::Value;

use super::{Flight, FlightCommand, FlightEvent, Gate, Refused};

/// The decider of flights. Its rules are in [`Flight`].
#[derive(Clone, Copy, Debug)]
pub struct Flights;

/// The schema of flight events.
///
/// Version 1 of `FlightScheduled` had no gate: the upcast assigns one by rule.
pub static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new().with_upcast("FlightScheduled", with_gate));

/// The same schema for readers that skip unknown and invalid events.
pub static LENIENT_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| SCHEMA.clone().ignoring_unknown().ignoring_unreadable());

fn with_gate(mut payload: Value) -> Result<Value, BoxError> {
    let text = |name| payload[name].as_str().ok_or(format!("the flight has no '{name}'"));
    let gate = Gate::assigned(text("from")?, text("airline")?, text("flight")?);
    payload["gate"] = gate.as_str().into();
    Ok(payload)
}

impl Decider for Flights {
    type State = Flight;
    type Command = FlightCommand;
    type Event = FlightEvent;
    type Error = Refused;

    fn initial(&self) -> Flight {
        Flight::default()
    }

    fn decide(
        &self,
        flight: &Flight,
        command: &FlightCommand,
    ) -> Result<Vec<FlightEvent>, Refused> {
        flight.decide(command).map(|event| vec![event])
    }

    fn evolve(&self, flight: Flight, event: &FlightEvent) -> Flight {
        flight.after(event)
    }

    /// Tags every event of a flight with its airport, airline and destination.
    fn tags(&self, flight: &Flight, _: &FlightEvent) -> downlink::Result<Vec<Tag>> {
        let tags = flight.timetable().map(super::Timetable::tags).unwrap_or_default();
        tags.iter().map(Tag::new).collect()
    }

    fn schema(&self) -> &Schema {
        &SCHEMA
    }
}
