use downlink::transport::Frame;
use downlink::{
    After, Append, Cursor, ErrorKind, Event, EventId, Expected, Filter, FilterItem, Position,
    Subscribe,
};
use proptest::prelude::*;
use proptest::sample::Index;

use super::TransportSetup;
use super::setup::{TestServer, connect, expect_same};
use crate::run::LawRun;
use crate::sample::{any_appends, any_item, append, event, of_type};

fn after(log: &[Event], cursor: Cursor, filter: &Filter) -> Vec<Event> {
    let later = |event: &&Event| event.position() > cursor.position();
    log.iter().filter(later).filter(|event| filter.matches_event(event)).cloned().collect()
}

/// **Law.** Every cursor has an answer. From the start, from any event that was
/// delivered, from one that the filter hides, from the head, from `now` and
/// from `last:n`, exactly what comes after is delivered. A cursor past the head
/// or of another history is refused with its reason, which is decided against a
/// head that was read after the request arrived.
pub async fn resumes_from_any_id(setup: &TransportSetup) {
    let history: Vec<_> = (0..8).map(two_kinds).collect();
    let served = setup.open(&history).await;
    let log = served.log().await;
    let filters = [Filter::everything(), of_type("FlightDeparted"), of_type("Never")];
    for filter in &filters {
        let places = [Cursor::START].into_iter().chain(log.iter().map(Event::cursor));
        for place in places {
            let mut client = served.follow(place, filter.clone()).await;
            client.until_live().await;
            let delivered: Vec<_> = client.events().collect();
            expect_same(&delivered, &after(&log, place, filter), &format!("resumed at {place}"));
        }
    }
    other_places(&served, &log).await;
    refuses(&served, &log).await;
    switches_servers(setup, &served).await;
}

fn two_kinds(number: usize) -> Append {
    let kind = if number.is_multiple_of(3) { "FlightDeparted" } else { "FlightDelayed" };
    let events = [event(kind), event("FlightDelayed")];
    Append::to(format!("flight-{}", number % 2), Expected::Any, events).expect("a valid name")
}

async fn other_places(served: &TestServer, log: &[Event]) {
    let departed = of_type("FlightDeparted");
    let matching = after(log, Cursor::START, &departed);
    let last_two = &matching[matching.len() - 2..];
    let places = [
        (After::Start, &matching[..]),
        (After::Last(2), last_two),
        (After::Last(1_000), &matching[..]),
        (After::Last(0), &[]),
        (After::Now, &[]),
        (After::Position(log[4].position()), &after(log, log[4].cursor(), &departed)[..]),
    ];
    for (place, wanted) in places {
        let subscribe = Subscribe::new().with_after(place).with_filter(departed.clone());
        let client = connect(&served.transport, served.address, subscribe).await;
        let mut client = client.unwrap_or_else(|error| panic!("{place:?} was refused: {error}"));
        client.until_live().await;
        let delivered: Vec<_> = client.events().collect();
        expect_same(&delivered, wanted, &format!("{place:?}"));
    }
}

async fn refuses(served: &TestServer, log: &[Event]) {
    let head = log.last().expect("an event").position();
    let foreign = |position: Position| Cursor::of(position, EventId::from_bytes([7; 16]));
    let cases = [
        (foreign(head.next()), ErrorKind::CursorAhead, "one past the head"),
        (foreign(Position::MAX), ErrorKind::CursorAhead, "far past the head"),
        (foreign(log[0].position()), ErrorKind::HistoryChanged, "of another first event"),
        (foreign(head), ErrorKind::HistoryChanged, "of another last event"),
    ];
    for (cursor, kind, what) in cases {
        let subscribe = Subscribe::new().with_after(cursor);
        let answer = connect(&served.transport, served.address, subscribe).await;
        let Some(error) = answer.err() else {
            panic!("a cursor of another history ({what}) was served instead of refused")
        };
        assert_eq!(error.kind(), kind, "a cursor of another history ({what}): {error}");
    }
}

/// A client switches to a server that has not seen the newest events.
async fn switches_servers(setup: &TransportSetup, served: &TestServer) {
    let lagging = setup.lagging(served).await;
    for _ in 0..3 {
        served.delay(2).await;
        let newest = served.store.head().await.expect("a head");
        let subscribe = Subscribe::new().with_after(newest);
        let answer = connect(&lagging.transport, lagging.address, subscribe).await;
        let mut client = answer.unwrap_or_else(|error| {
            panic!(
                "a client was refused with the newest cursor of another server of the same log \
                 (`{error}`): decide against a head read from the store after the request came"
            )
        });
        client.until_live().await;
        assert_eq!(client.events().count(), 0, "nothing may come after the newest event");
    }
}

#[derive(Clone, Debug)]
struct Hidden {
    history: Vec<Append>,
    first: FilterItem,
    second: FilterItem,
    place: Index,
}

fn any_hidden() -> impl Strategy<Value = Hidden> {
    (any_appends(1..10), any_item(), any_item(), any::<Index>())
        .prop_map(|(history, first, second, place)| Hidden { history, first, second, place })
}

/// **Law.** Filtering and resuming commute: from any cursor, a filtered feed
/// has exactly the matching events after it, and the filter may change between
/// connections.
pub fn filter_and_resume_commute(run: &LawRun, setup: &TransportSetup) {
    run.cases(16, any_hidden(), async |Hidden { history, first, second, place }| {
        let served = setup.open(&history).await;
        let log = served.log().await;
        let (first, second) = (Filter::from(first), Filter::from(second));
        let begin = place.get(&log).cursor();
        let mut client = served.follow(begin, first.clone()).await;
        client.until_live().await;
        let delivered: Vec<_> = client.events().collect();
        let what = "a filtered feed that was resumed";
        expect_same(&delivered, &after(&log, begin, &first), what);
        let changed = client.cursor().expect("a cursor");
        for append in &history {
            let fresh = append.events().map(|event| event.clone().with_id(EventId::now()));
            let stream = append.writes[0].stream.clone();
            let again = Append::to(&stream, Expected::Any, fresh.collect::<Vec<_>>());
            served.append(again.expect("a valid name")).await;
        }
        let mut client = served.follow(changed, second.clone()).await;
        client.until_live().await;
        let delivered: Vec<_> = client.events().collect();
        let wanted = after(&served.log().await, changed, &second);
        expect_same(&delivered, &wanted, "a feed that was resumed with another filter");
    });
}

/// **Law.** If nothing matches, the cursor still advances: to the head by
/// `live`, and beyond it by `checkpoint`.
pub async fn the_cursor_moves_without_matches(setup: &TransportSetup) {
    let served = setup.open(&[append("flight-UA1545", Expected::Any, 40)]).await;
    let mut client = served.follow(Cursor::START, of_type("Never")).await;
    client.until_live().await;
    let mut head = served.store.head().await.expect("a head");
    let reached = client.cursor().expect("a cursor");
    assert!(
        reached == head,
        "a client to which nothing matches is at {reached} when it is live, and the head is \
         {head}: it would scan the same events after every reconnect"
    );
    for _ in 0..3 {
        served.delay(12).await;
        let before = head;
        head = served.store.head().await.expect("a head");
        let what = "a live client to which nothing matches did not get a checkpoint";
        while client.cursor().is_none_or(|cursor| cursor.position() <= before.position()) {
            client.next(what).await;
        }
        assert!(client.cursor() <= Some(head), "a cursor is past the head");
    }
    assert_eq!(client.events().count(), 0, "an event came that does not match");
    let moved = client.seen.iter().any(|frame| matches!(frame, Frame::Checkpoint { .. }));
    assert!(moved, "the cursor moved without a `checkpoint`");
    let resumed = served.follow(client.cursor().expect("a cursor"), of_type("Never")).await;
    drop(resumed);
}
