//! Events for the tests of this crate.

use crate::event::{ContentType, Event, NewEvent, Timestamp};
use crate::id::{Position, Version};

/// A small event at this position.
pub(crate) fn event(position: u64) -> Event {
    at(position, NewEvent::json("FlightDelayed", "{}").expect("an event"))
}

/// A binary event at this position with this payload.
pub(crate) fn event_of(position: u64, payload: Vec<u8>) -> Event {
    let binary = ContentType::new("application/octet-stream").expect("a content type");
    at(position, NewEvent::bytes("Photo", binary, payload).expect("an event"))
}

fn at(position: u64, content: NewEvent) -> Event {
    let stream = "flight-UA1545".try_into().expect("a stream");
    let position = Position::new(position).expect("a position");
    Event::new(position, stream, Version::FIRST, Timestamp::EPOCH, content)
}
