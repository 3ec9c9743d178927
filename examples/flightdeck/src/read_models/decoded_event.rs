use std::sync::LazyLock;

use downlink::{BoxError, Event, Schema};

use crate::flight::{FlightEvent, SCHEMA};

static KNOWN: LazyLock<Schema> = LazyLock::new(|| SCHEMA.clone().ignoring_unknown());

/// An event of a flight with its tags.
#[derive(Debug)]
pub(super) struct DecodedEvent<'a> {
    /// The flight's name, `UA1545`.
    pub(super) flight: &'a str,
    /// The version in the flight's stream.
    pub(super) version: i64,
    pub(super) airport: &'a str,
    pub(super) airline: &'a str,
    /// The destination.
    pub(super) to: &'a str,
    pub(super) event: FlightEvent,
}

impl<'a> DecodedEvent<'a> {
    /// Decodes an event; `None` if its type is unknown. An event of a known type that
    /// cannot be decoded is an error, and becomes a dead letter.
    pub(super) fn decode(event: &'a Event) -> Result<Option<Self>, BoxError> {
        let Some(decoded) = KNOWN.decode(event)? else { return Ok(None) };
        let flight = event.stream().as_str();
        Ok(Some(Self {
            flight: flight.strip_prefix("flight-").unwrap_or(flight),
            version: event.version().get().try_into()?,
            airport: tag(event, "airport:")?,
            airline: tag(event, "airline:")?,
            to: tag(event, "dest:")?,
            event: decoded,
        }))
    }
}

fn tag<'a>(event: &'a Event, prefix: &str) -> Result<&'a str, BoxError> {
    let mut tags = event.tags().iter().filter_map(|tag| tag.as_str().strip_prefix(prefix));
    tags.next().ok_or_else(|| format!("the event has no tag that starts with '{prefix}'").into())
}
