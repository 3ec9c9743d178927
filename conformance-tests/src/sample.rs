//! Streams, events and filters as the laws use them: few and alike, so that
//! they meet, and of the kind that naive code mistakes for one another.

use downlink::{
    Append, Event, EventStore, Expected, Filter, FilterItem, NewEvent, Pattern, Read, StreamId,
    Version,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Names that differ in case, that begin alike, and that mean something to
/// `LIKE`.
pub const NAMES: [&str; 6] = ["gate", "Gate", "gate-1", "gate%", "gate_", "tower"];

/// The stream with this name.
///
/// # Panics
///
/// Panics if it is no name.
#[must_use]
pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a valid name")
}

/// An event of this type.
///
/// # Panics
///
/// Panics if the type is no name.
#[must_use]
pub fn event(event_type: &str) -> NewEvent {
    NewEvent::with_json(event_type, "{}").expect("a valid event")
}

/// So many events.
#[must_use]
pub fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| event("FlightDelayed")).collect()
}

/// An append of so many events to one stream.
///
/// # Panics
///
/// Panics if the stream is no name.
#[must_use]
pub fn append(to: &str, expected: Expected, count: usize) -> Append {
    Append::to(to, expected, events(count)).expect("a valid name")
}

/// A filter for one type of events.
///
/// # Panics
///
/// Panics if it is no name.
#[must_use]
pub fn of_type(event_type: &str) -> Filter {
    FilterItem::new().with_type(event_type).expect("a valid name").into()
}

/// A filter for one tag.
///
/// # Panics
///
/// Panics if it is no name.
#[must_use]
pub fn tagged(tag: &str) -> Filter {
    FilterItem::new().with_tag(tag).expect("a valid name").into()
}

/// The version with this number.
///
/// # Panics
///
/// Panics at zero.
#[must_use]
pub fn version(number: usize) -> Version {
    u64::try_from(number).ok().and_then(Version::new).expect("a version")
}

/// The whole log, by the store's own pages.
///
/// # Panics
///
/// Panics if a read fails or does not move.
pub async fn log(store: &dyn EventStore) -> Vec<Event> {
    pages(store, Read::log().limit(1_000).max_bytes(16 << 20)).await
}

/// The whole stream.
///
/// # Panics
///
/// Panics if a read fails or does not move.
pub async fn stream_of(store: &dyn EventStore, name: &StreamId) -> Vec<Event> {
    let mut read = Read::stream(name.clone()).limit(1_000).max_bytes(16 << 20);
    let mut all = Vec::new();
    loop {
        let page = store.read(read.clone()).await.expect("a page of the stream");
        all.extend(page.events);
        match page.stream.and_then(|span| span.scanned) {
            Some(scanned) if page.more => read = read.after_version(scanned),
            _ => return all,
        }
    }
}

/// Everything that a read of the log finds, page after page in its direction.
///
/// # Panics
///
/// Panics if a read fails or does not move.
pub async fn pages(store: &dyn EventStore, mut read: Read) -> Vec<Event> {
    let mut all = Vec::new();
    let mut place = None;
    loop {
        let page = store.read(read.clone()).await.expect("a page of the log");
        all.extend(page.events);
        if !page.more {
            return all;
        }
        assert!(
            place != Some(page.scanned),
            "a page that is not the last did not get beyond {}: a reader would ask for ever",
            page.scanned
        );
        place = Some(page.scanned);
        read = read.after(page.scanned.position());
    }
}

/// Some name.
pub fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

/// An event with a name of [`NAMES`] for its type and some for its tags.
pub fn any_event() -> impl Strategy<Value = NewEvent> {
    let payload = prop::sample::select(vec!["{}", " {\"gate\": \"C71\"}\r\n", "[1e400, 1.0]"]);
    (any_name(), vec(any_name(), 0..3), payload).prop_map(|(event_type, tags, payload)| {
        let event = NewEvent::with_json(event_type, payload).expect("valid JSON");
        tags.into_iter().fold(event, |event, tag| event.with_tag(tag).expect("a valid tag"))
    })
}

/// Some filter of one or two queries, each of one or two items.
pub fn any_filter() -> impl Strategy<Value = Filter> {
    vec(vec(any_item(), 1..3), 0..3).prop_map(|queries| {
        queries.into_iter().fold(Filter::everything(), |filter, items| {
            filter.and(&Filter::any(items).expect("at least one item"))
        })
    })
}

/// Some filter that is one item, as a carrier's query string can say it.
pub fn any_item() -> impl Strategy<Value = FilterItem> {
    let patterns = || vec(any_pattern(), 0..3);
    let names = || vec(any_name(), 0..2);
    (patterns(), patterns(), names(), names()).prop_map(|(streams, types, not_types, tags)| {
        FilterItem {
            streams,
            types,
            not_types: not_types.into_iter().map(|name| name.try_into().expect("a type")).collect(),
            tags: tags.into_iter().map(|name| name.try_into().expect("a tag")).collect(),
        }
    })
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    (any_name(), any::<bool>()).prop_map(|(name, whole)| {
        if whole { Pattern::Is(name.into()) } else { Pattern::StartsWith(name.into()) }
    })
}

/// Appends of one to three events each, to streams of [`NAMES`].
pub fn any_appends(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Append>> {
    let any_append = (any_name(), vec(any_event(), 1..4))
        .prop_map(|(name, events)| Append::to(name, Expected::Any, events).expect("a valid name"));
    vec(any_append, count)
}
