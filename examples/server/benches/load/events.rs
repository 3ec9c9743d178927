use std::time::{Duration, SystemTime};

use downlink::event::Timestamp;
use downlink::{Event, NewEvent, Position, StreamId, Version};
use downlink_transports::wire;

/// The number of digits of a time in an event.
pub(crate) const DIGITS: usize = 19;

/// An event with the time at which it was created, after its one `#`, by which clients
/// count events.
pub(crate) fn event() -> NewEvent {
    let payload = format!(
        r##"{{"at":"#{:019}","flight":"UA1545","origin":"EWR","destination":"IAH","gate":"C71","minutes":20}}"##,
        now().as_nanos()
    );
    NewEvent::json("FlightDelayed", payload).expect("a valid event")
}

/// The bytes that the feed sends for an event over SSE.
pub(crate) fn block(stream: &str, content: NewEvent) -> bytes::Bytes {
    let stream: StreamId = stream.try_into().expect("a valid name");
    let position = Position::ZERO.next();
    wire::sse_block(&Event::new(position, stream, Version::FIRST, Timestamp::EPOCH, content))
}

/// The time by a clock that all processes of one machine share.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
