use std::sync::LazyLock;

use downlink::{BoxError, Decider, Schema, Tag};
use serde_json::Value;

use super::{Flight, FlightCommand, FlightEvent, Gate, Refused};

/// The rules of flights, as Downlink's executor wants them; the flight itself
/// decides.
#[derive(Clone, Copy, Debug)]
pub struct Flights;

/// How the events of flights are read, also by whoever does not decide.
///
/// In version 1 of `FlightScheduled` there was no gate: it is the one that the
/// rule assigns.
pub static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new().with_upcast("FlightScheduled", with_gate));

/// The same for what follows the log and has to go on: what is not of this
/// program, or cannot be read, is passed over.
pub static LENIENT_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| SCHEMA.clone().ignoring_unknown().ignoring_unreadable());

fn with_gate(mut payload: Value) -> Result<Value, BoxError> {
    let text = |name| payload[name].as_str().ok_or(format!("a flight without '{name}'"));
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

    /// Airport, airline and destination, by which all events of a flight are
    /// found.
    fn tags(&self, flight: &Flight, _: &FlightEvent) -> downlink::Result<Vec<Tag>> {
        let tags = flight.timetable().map(super::Timetable::tags).unwrap_or_default();
        tags.iter().map(Tag::new).collect()
    }

    fn schema(&self) -> &Schema {
        &SCHEMA
    }
}
