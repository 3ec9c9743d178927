use downlink::event::ContentType;
use downlink::store::Write;
use downlink::{
    Append, Check, Cursor, ErrorKind, Event, EventStore, Expected, NewEvent, Read, limits,
};

use crate::fixture::StoreFixture;
use crate::sample::{append, event, events, of_type, pages, stream};

/// **Law.** Exceeded limits and malformed appends are typed errors, returned
/// before anything is written. Each limit is tested one below, at and one
/// above.
pub async fn limits_are_typed_errors(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let mut end = Cursor::START;
    for (count, fits) in around(limits::MAX_EVENTS_PER_APPEND) {
        let outcome = offer(&*store, append("flight-many", Expected::Any, count)).await;
        expect(outcome, (!fits).then_some(ErrorKind::TooLarge), &format!("{count} events"));
        let stored = if fits { count } else { 0 };
        expect_stored(&*store, &mut end, stored, &format!("{count} events in one append")).await;
    }
    for (bytes, fits) in around(limits::MAX_APPEND_BYTES) {
        let offered = of_size(bytes);
        let count = offered.events().count();
        let outcome = offer(&*store, offered).await;
        expect(outcome, (!fits).then_some(ErrorKind::TooLarge), &format!("{bytes} bytes"));
        let stored = if fits { count } else { 0 };
        expect_stored(&*store, &mut end, stored, &format!("{bytes} bytes in one append")).await;
    }
    for (count, fits) in around(limits::MAX_CHECKS_PER_APPEND) {
        let boundary = || Check::NothingAfter(of_type("Never"), Cursor::START);
        let offered = (0..count).fold(append("flight-checked", Expected::Any, 1), |append, _| {
            append.with_check(boundary())
        });
        let outcome = offer(&*store, offered).await;
        expect(outcome, (!fits).then_some(ErrorKind::TooLarge), &format!("{count} checks"));
        let stored = usize::from(fits);
        expect_stored(&*store, &mut end, stored, &format!("{count} checks in one append")).await;
    }
    for (what, malformed) in malformed() {
        let outcome = offer(&*store, malformed).await;
        expect(outcome, Some(ErrorKind::Invalid), what);
        expect_stored(&*store, &mut end, 0, what).await;
    }
}

fn around(limit: usize) -> [(usize, bool); 3] {
    [(limit - 1, true), (limit, true), (limit + 1, false)]
}

async fn offer(store: &dyn EventStore, append: Append) -> Option<ErrorKind> {
    store.append(append).await.err().map(|error| error.kind())
}

fn expect(outcome: Option<ErrorKind>, wanted: Option<ErrorKind>, what: &str) {
    match (outcome, wanted) {
        (outcome, wanted) if outcome == wanted => {}
        (Some(kind), None) => panic!("{what} are within the limit and were refused as {kind:?}"),
        (None, Some(kind)) => {
            panic!("{what}: was accepted and has to be refused as {kind:?}; call `validate` first")
        }
        (outcome, wanted) => panic!("{what}: has to be {wanted:?} and was {outcome:?}"),
    }
}

/// Expects this many events after the former end of the log, which it moves. It does not read the
/// log from its beginning: that would be more than a hundred megabytes each time.
async fn expect_stored(store: &dyn EventStore, end: &mut Cursor, events: usize, what: &str) {
    let found = pages(store, Read::log().with_after(*end).with_max_bytes(16 << 20)).await;
    assert!(
        found.len() == events,
        "{what}: {} events were stored, and {events} should be; check limits before anything is written",
        found.len()
    );
    *end = found.last().map_or(*end, Event::cursor);
}

fn of_size(bytes: usize) -> Append {
    let kind = ContentType::new("application/octet-stream").expect("a content type");
    let metadata = event("X").metadata().len();
    let (mut rest, mut events) = (bytes, Vec::new());
    while rest > 0 {
        let size = rest.min(limits::MAX_PAYLOAD_BYTES + metadata).max(metadata);
        // No event can be smaller than its metadata, so make this one smaller instead of the last.
        let size = if rest - size > 0 && rest - size < metadata { size - metadata } else { size };
        let payload = vec![7; size - metadata];
        events.push(NewEvent::bytes("Photo", kind.clone(), payload).expect("a payload"));
        rest -= size;
    }
    Append::to("flight-large", Expected::Any, events).expect("a valid name")
}

fn malformed() -> Vec<(&'static str, Append)> {
    let once = event("FlightDelayed");
    let twice = Append::to("a", Expected::Any, [once.clone(), once]).expect("a valid name");
    let empty = Write { stream: stream("b"), expected: Expected::Any, events: Vec::new() };
    let mut with_empty = append("a", Expected::Any, 1);
    with_empty.writes.push(empty);
    vec![
        ("an append without writes", Append::default()),
        ("an append without events", append("a", Expected::Any, 0)),
        ("a write without events next to another", with_empty),
        ("an id twice in one append", twice),
        (
            "a stream in two writes",
            append("a", Expected::Any, 1).and("a", Expected::Any, events(1)).expect("a name"),
        ),
        (
            "a check on a stream that is written",
            append("a", Expected::Any, 1)
                .with_check(Check::Stream(stream("a"), Expected::NoStream)),
        ),
    ]
}
