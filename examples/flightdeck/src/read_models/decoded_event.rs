use std::sync::LazyLock;

use downlink::{BoxError, Event, Schema};

use crate::flight::{FlightEvent, SCHEMA};

static KNOWN: LazyLock<Schema> = LazyLock::new(|| SCHEMA.clone().ignoring_unknown());

/// Something that happened to a flight.
#[derive(Debug)]
pub(super) struct DecodedEvent<'a> {
    /// The flight's name, `UA1545`.
    pub(super) flight: &'a str,
    /// The place in the flight's stream.
    pub(super) version: i64,
    pub(super) airport: &'a str,
    pub(super) airline: &'a str,
    /// Where the flight goes.
    pub(super) to: &'a str,
    pub(super) event: FlightEvent,
}

impl<'a> DecodedEvent<'a> {
    /// Reads an event; `None` if it is of a kind that this program does not know.
    /// One of a known kind that cannot be read is set aside as a dead letter.
    pub(super) fn read(event: &'a Event) -> Result<Option<Self>, BoxError> {
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
    tags.next().ok_or_else(|| format!("an event of a flight without the tag '{prefix}'").into())
}
