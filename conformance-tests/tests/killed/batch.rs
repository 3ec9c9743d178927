use std::collections::HashMap;

use downlink::{Append, Event, EventId, Expected, NewEvent, Position, Version};
use rand::Rng;

/// The streams that all appenders write to.
const STREAMS: usize = 6;

/// Any append to one, two or three streams, in which each event has its number
/// and the total.
pub(crate) fn any(rng: &mut impl Rng) -> (EventId, Append) {
    let batch = EventId::now();
    let parts: Vec<usize> = (0..rng.random_range(1..=3)).map(|_| rng.random_range(1..=4)).collect();
    let (first, of) = (rng.random_range(0..STREAMS), parts.iter().sum());
    let mut append = Append::default();
    let mut index = 0;
    for (nth, part) in parts.into_iter().enumerate() {
        let events: Vec<_> = (index..index + part).map(|index| event(batch, index, of)).collect();
        index += part;
        let stream = format!("flight-{}", (first + nth) % STREAMS);
        append = append.and(stream, Expected::Any, events).expect("a valid name");
    }
    (batch, append)
}

fn event(batch: EventId, index: usize, of: usize) -> NewEvent {
    let payload = serde_json::json!({ "batch": batch.to_string(), "index": index, "of": of });
    NewEvent::json("FlightDelayed", payload.to_string()).expect("a valid event")
}

/// Every batch of a log, with the position of its last event.
///
/// # Panics
///
/// Panics if a batch is incomplete, or interleaved with another.
pub(crate) fn all(log: &[Event]) -> HashMap<String, Position> {
    let mut batches = HashMap::new();
    let mut rest = log;
    while let Some(first) = rest.first() {
        let (batch, _, of) = read(first);
        let (events, others) = rest.split_at(of.min(rest.len()));
        let found: Vec<_> = events.iter().map(read).collect();
        let whole: Vec<_> = (0..of).map(|index| (batch.clone(), index, of)).collect();
        assert_eq!(found, whole, "the append at {} is incomplete or interleaved", first.position());
        let last = events[of - 1].position();
        assert_eq!(batches.insert(batch, last), None, "an append is in the log twice");
        rest = others;
    }
    batches
}

/// The append that an event belongs to.
pub(crate) fn of(event: &Event) -> String {
    read(event).0
}

fn read(event: &Event) -> (String, usize, usize) {
    let payload: serde_json::Value =
        serde_json::from_slice(event.payload()).expect("the payload that was appended");
    let number = |name: &str| {
        payload[name].as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number")
    };
    (payload["batch"].as_str().expect("a name").to_owned(), number("index"), number("of"))
}

/// Whether the versions of every stream are 1, 2, 3, …
pub(crate) fn versions_are_dense(log: &[Event]) -> bool {
    let mut last = HashMap::new();
    log.iter().all(|event| {
        let before = last.insert(event.stream(), event.version());
        event.version() == Version::following(before)
    })
}
