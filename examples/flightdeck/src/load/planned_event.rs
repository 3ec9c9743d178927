use downlink::{EventId, Expected, NewEvent, Result, StreamId, Tag, Timestamp, Version};

use crate::clock_time::ClockTime;
use crate::flight::{FlightEvent, FlightId, SCHEMA};

/// Midnight of 1 January 2013 in New York, taken as if it were Greenwich.
const NEW_YEAR_MICROS: u64 = 1_356_998_400_000_000;
const MICROS_OF_A_MINUTE: u64 = 60_000_000;

/// Something that happened to a flight, before it is stored.
#[derive(Clone, Debug)]
pub(super) struct PlannedEvent {
    pub(super) flight: FlightId,
    pub(super) stream: StreamId,
    /// The event's place in the stream.
    pub(super) version: Version,
    pub(super) event: FlightEvent,
    pub(super) tags: Vec<Tag>,
    /// Whether nothing more happens to the flight.
    pub(super) is_last: bool,
}

impl PlannedEvent {
    /// The same in every load of the year, and rising with time.
    pub(super) fn id(&self) -> EventId {
        let name = format!("{} {}", self.stream, self.version);
        EventId::derived(moment(self.event.at()), name.as_bytes())
    }

    /// What its stream has to be like for it.
    pub(super) fn expected(&self) -> Expected {
        Expected::at(self.version.previous())
    }

    /// As it is stored.
    pub(super) fn encode(&self) -> Result<NewEvent> {
        let event = SCHEMA.encode(&self.event)?.with_id(self.id());
        self.tags.iter().try_fold(event, |event, tag| event.with_tag(tag.clone()))
    }
}

fn moment(time: ClockTime) -> Timestamp {
    Timestamp::from_micros(NEW_YEAR_MICROS + u64::from(time.minute()) * MICROS_OF_A_MINUTE)
}
