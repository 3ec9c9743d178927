//! Streams, events and filters for the laws: few and similar, so that they
//! collide, and of a kind that naive code mistakes for one another.

use bytes::Bytes;
use downlink::event::{ContentType, StoredParts};
use downlink::filter::Pattern;
use downlink::store::ReadLog;
use downlink::{
    Append, Event, EventStore, Expected, Filter, FilterItem, NewEvent, Read, StreamId, Version,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Names that differ only in case, share a prefix, or contain wildcards of
/// `LIKE`.
pub const NAMES: [&str; 6] = ["gate", "Gate", "gate-1", "gate%", "gate_", "tower"];

/// The stream with this name.
///
/// # Panics
///
/// Panics if the name is not valid.
#[must_use]
pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a valid name")
}

/// An event of this type.
///
/// # Panics
///
/// Panics if the type is not a valid name.
#[must_use]
pub fn event(event_type: &str) -> NewEvent {
    NewEvent::json(event_type, "{}").expect("a valid event")
}

/// This many events.
#[must_use]
pub fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| event("FlightDelayed")).collect()
}

/// An append of this many events to one stream.
///
/// # Panics
///
/// Panics if the stream is not a valid name.
#[must_use]
pub fn append(to: &str, expected: Expected, count: usize) -> Append {
    Append::to(to, expected, events(count)).expect("a valid name")
}

/// A filter for one type of events.
///
/// # Panics
///
/// Panics if the name is not valid.
#[must_use]
pub fn of_type(event_type: &str) -> Filter {
    FilterItem::new().with_type(event_type).expect("a valid name").into()
}

/// A filter for one tag.
///
/// # Panics
///
/// Panics if the name is not valid.
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

/// The whole log, read in pages.
///
/// # Panics
///
/// Panics if a read fails or does not advance.
pub async fn log(store: &dyn EventStore) -> Vec<Event> {
    pages(store, Read::log().with_limit(1_000).with_max_bytes(16 << 20)).await
}

/// The whole stream.
///
/// # Panics
///
/// Panics if a read fails or does not advance.
pub async fn stream_of(store: &dyn EventStore, name: &StreamId) -> Vec<Event> {
    let mut read = Read::stream(name.clone()).with_limit(1_000).with_max_bytes(16 << 20);
    let mut all = Vec::new();
    loop {
        let page = store.read_stream(read.clone()).await.expect("a page of the stream");
        all.extend(page.events);
        match page.stream.and_then(|span| span.scanned) {
            Some(scanned) if page.more => read = read.with_after(scanned),
            _ => return all,
        }
    }
}

/// Everything that a read of the log finds, page after page in its direction.
///
/// # Panics
///
/// Panics if a read fails or does not advance.
pub async fn pages(store: &dyn EventStore, mut read: ReadLog) -> Vec<Event> {
    let mut all = Vec::new();
    let mut last = None;
    loop {
        let page = store.read_log(read.clone()).await.expect("a page of the log");
        all.extend(page.events);
        if !page.more {
            return all;
        }
        assert!(
            last != Some(page.scanned),
            "a page that is not the last did not advance beyond {}: a reader would repeat it \
             forever",
            page.scanned
        );
        last = Some(page.scanned);
        read = read.with_after(page.scanned.position());
    }
}

/// Any of [`NAMES`].
pub fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

/// Any event with a type and tags from [`NAMES`].
pub fn any_event() -> impl Strategy<Value = NewEvent> {
    let payload = prop::sample::select(vec!["{}", " {\"gate\": \"C71\"}\r\n", "[1e300, 1.0]"]);
    (any_name(), vec(any_name(), 0..3), payload).prop_map(|(event_type, tags, payload)| {
        let event = NewEvent::json(event_type, payload).expect("valid JSON");
        tags.into_iter().fold(event, |event, tag| event.with_tag(tag).expect("a valid tag"))
    })
}

/// An event with JSON that new events may not have, but that an older release
/// accepted. Logs contain such events, so they are read, copied and repeated
/// like any other.
pub fn of_an_older_release(event_type: &str, payload: impl Into<Bytes>) -> NewEvent {
    let valid = event(event_type);
    NewEvent::from_stored(StoredParts {
        id: valid.id(),
        event_type: valid.event_type().clone(),
        content_type: ContentType::JSON,
        payload: payload.into(),
        metadata: valid.metadata().clone(),
        tags: [].into(),
    })
}

/// Any filter of one or two queries, each of one or two items, or rarely of
/// none, which matches nothing.
pub fn any_filter() -> impl Strategy<Value = Filter> {
    let items = prop_oneof![15 => vec(any_item(), 1..3), 1 => Just(Vec::new())];
    vec(items, 0..3).prop_map(|queries| {
        queries.into_iter().fold(Filter::everything(), |filter, items| {
            filter.and(&Filter::any_of(items).expect("few values")).expect("few queries")
        })
    })
}

/// Any filter of one item, which the query string of a transport can express.
pub fn any_item() -> impl Strategy<Value = FilterItem> {
    let patterns = || vec(any_pattern(), 0..3);
    let names = || vec(any_name(), 0..2);
    (patterns(), patterns(), names(), names()).prop_map(|(streams, types, not_types, tags)| {
        let item = streams.iter().try_fold(FilterItem::new(), |item, pattern| match pattern {
            Pattern::Is(name) => item.with_stream(&**name),
            Pattern::StartsWith(prefix) => item.with_stream_prefix(prefix),
        });
        let item = types.iter().try_fold(item.expect("streams"), |item, pattern| match pattern {
            Pattern::Is(name) => item.with_type(&**name),
            Pattern::StartsWith(prefix) => item.with_type_prefix(prefix),
        });
        let item = not_types.into_iter().try_fold(item.expect("types"), FilterItem::without_type);
        tags.into_iter().try_fold(item.expect("types"), FilterItem::with_tag).expect("tags")
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
