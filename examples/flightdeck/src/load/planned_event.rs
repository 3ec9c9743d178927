use downlink::event::Timestamp;
use downlink::{EventId, Expected, NewEvent, Result, StreamId, Tag, Version};

use crate::flight::ClockTime;
use crate::flight::{FlightEvent, FlightId, SCHEMA};

/// Midnight of 1 January 2013, with New York's local time taken as UTC.
const NEW_YEAR_MICROS: u64 = 1_356_998_400_000_000;
const MICROS_OF_A_MINUTE: u64 = 60_000_000;

/// An event of a flight before it is stored.
#[derive(Clone, Debug)]
pub(super) struct PlannedEvent {
    pub(super) flight: FlightId,
    pub(super) stream: StreamId,
    /// The event's version in the stream.
    pub(super) version: Version,
    pub(super) event: FlightEvent,
    pub(super) tags: Vec<Tag>,
    /// Whether it is the last event of the flight.
    pub(super) is_last: bool,
}

impl PlannedEvent {
    /// The id, which is the same in every load and ordered by time.
    pub(super) fn id(&self) -> EventId {
        let name = format!("{} {}", self.stream, self.version);
        EventId::derived(moment(self.event.at()), name.as_bytes())
    }

    /// The expected version of its stream.
    pub(super) fn expected(&self) -> Expected {
        Expected::at(self.version.previous())
    }

    /// Encodes the event.
    pub(super) fn encode(&self) -> Result<NewEvent> {
        let event = SCHEMA.encode(&self.event)?.with_id(self.id());
        self.tags.iter().try_fold(event, |event, tag| event.with_tag(tag.clone()))
    }
}

fn moment(time: ClockTime) -> Timestamp {
    Timestamp::from_micros(NEW_YEAR_MICROS + u64::from(time.minute()) * MICROS_OF_A_MINUTE)
}
