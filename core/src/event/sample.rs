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

/// A small event at this position, with these names.
pub(crate) fn named_event(position: u64, stream: &str, event_type: &str, tags: &[&str]) -> Event {
    let content = NewEvent::json(event_type, "{}").expect("an event");
    let content = content.with_tags(tags.iter().copied()).expect("tags");
    of_stream(position, stream, content)
}

fn at(position: u64, content: NewEvent) -> Event {
    of_stream(position, "flight-UA1545", content)
}

fn of_stream(position: u64, stream: &str, content: NewEvent) -> Event {
    let stream = stream.try_into().expect("a stream");
    let position = Position::new(position).expect("a position");
    Event::new(position, stream, Version::FIRST, Timestamp::EPOCH, content)
}
