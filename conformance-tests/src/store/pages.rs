use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use downlink::{
    Append, Check, Cursor, ErrorKind, Event, EventId, EventStore, Expected, Filter, Position, Read,
};
use proptest::prelude::*;
use tokio::task::yield_now;

use crate::fixture::StoreFixture;
use crate::model::Model;
use crate::run::LawRun;
use crate::sample::{any_appends, any_filter, append, event, log, of_type, pages, stream};
use crate::tasks;

async fn filled(store: &dyn EventStore, appends: &[Append]) -> Model {
    let mut model = Model::default();
    for append in appends {
        model.append(store, append).await;
    }
    model
}

/// **Law.** Pages of any size have the same concatenation. Reading backwards is
/// the reverse. A limit of 0 reads nothing and does not advance.
pub fn pages_concatenate(run: &LawRun, fixture: &dyn StoreFixture) {
    let inputs = (any_appends(1..12), any_filter(), 1..6_usize, 0..200_usize);
    run.cases(40, inputs, async |(appends, filter, limit, max_bytes)| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let model = filled(&*store, &appends).await;
        for filter in [Filter::everything(), filter] {
            let whole = Read::log().with_filter(filter.clone());
            let small = whole.clone().with_limit(limit).with_max_bytes(max_bytes);
            for read in [small.clone(), small.backward()] {
                let found = pages(&*store, read.clone()).await;
                assert_eq!(
                    found,
                    model.select_log(&read),
                    "pages of {limit} do not add up to one page: the next page continues after \
                     `scanned`, without a gap or a repeat"
                );
            }
            let nothing = model.read_log(&*store, &whole.with_limit(0)).await;
            assert!(nothing.events.is_empty(), "a limit of 0 has to read no events");
        }
        every_stream_in_pages(&*store, &model, limit).await;
    });
}

async fn every_stream_in_pages(store: &dyn EventStore, model: &Model, limit: usize) {
    for name in crate::sample::NAMES {
        for backward in [false, true] {
            let mut read = Read::stream(stream(name)).with_limit(limit);
            read = if backward { read.backward() } else { read };
            let wanted = model.select_stream(&read);
            let mut found = Vec::new();
            loop {
                let page = model.read_stream(store, &read).await;
                found.extend(page.events.clone());
                let scanned = page.stream.and_then(|span| span.scanned);
                match scanned {
                    Some(version) if page.more && found.len() <= wanted.len() => {
                        read = read.with_after(version);
                    }
                    _ => break,
                }
            }
            assert_eq!(found, wanted, "pages of {limit} of a stream do not add up to the stream");
        }
    }
}

/// **Law.** `scanned` comes from the snapshot of its page and skips nothing,
/// also under concurrent appends. Pages keep their limits in events and bytes.
pub async fn scanned_skips_nothing(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let ended = Arc::new(AtomicBool::new(false));
    let followers = (0..3).map(|_| {
        let (store, ended) = (Arc::clone(&store), Arc::clone(&ended));
        tokio::spawn(follow_scanned(store, ended))
    });
    let followers: Vec<_> = followers.collect();
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for turn in 0..40 {
                let kind = if turn % 5 == 0 { "FlightDeparted" } else { "FlightDelayed" };
                let offered = Append::to(format!("f-{writer}"), Expected::Any, [event(kind)]);
                store.append(offered.expect("a valid name")).await.expect("an append");
                yield_now().await;
            }
        })
    });
    tasks::join(writers.collect::<Vec<_>>()).await;
    ended.store(true, Ordering::SeqCst);
    let departed = of_type("FlightDeparted");
    let mut all = log(&*store).await;
    all.retain(|event| departed.matches_event(event));
    for followed in tasks::join(followers).await {
        assert!(
            followed == all,
            "a reader that continued after `scanned` missed {} of {} events: `scanned` is where \
             this page stopped scanning, not a head that was read later",
            all.len() - followed.len().min(all.len()),
            all.len()
        );
    }
    bounds_are_kept(&*store).await;
}

async fn follow_scanned(store: Arc<dyn EventStore>, ended: Arc<AtomicBool>) -> Vec<Event> {
    let (mut found, mut scanned) = (Vec::new(), Cursor::START);
    loop {
        let last_round = ended.load(Ordering::SeqCst);
        let read =
            Read::log().with_after(scanned).with_filter(of_type("FlightDeparted")).with_limit(3);
        let page = store.read_log(read).await.expect("a page");
        assert!(page.scanned.position() >= scanned.position(), "`scanned` went back");
        assert!(
            page.scanned.position() <= page.head.position(),
            "`scanned` is past the head of its own page: take both from one snapshot"
        );
        scanned = page.scanned;
        found.extend(page.events);
        if last_round && !page.more {
            return found;
        }
        yield_now().await;
    }
}

async fn bounds_are_kept(store: &dyn EventStore) {
    let size = event("FlightDelayed").size();
    for (limit, bytes) in [(1, usize::MAX), (7, usize::MAX), (1_000, 3 * size), (1_000, 0)] {
        let page = store
            .read_log(Read::log().with_limit(limit).with_max_bytes(bytes))
            .await
            .expect("a page");
        let found: usize = page.events.iter().map(Event::size).sum();
        assert!(page.events.len() <= limit, "a page has more events than its limit");
        assert!(
            !page.events.is_empty(),
            "a page has to have at least one event, whatever its size"
        );
        assert!(
            found <= bytes || page.events.len() == 1,
            "a page of at most {bytes} bytes has {found}: limit pages in bytes too"
        );
    }
}

/// **Law.** A cursor of another history is refused and never served, as the
/// start of a read and as a boundary of an append: if its position has another
/// event, if its position has none, and if it is past the head.
pub async fn a_cursor_of_another_history_is_refused(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let foreign = |position: Position| Cursor::of(position, EventId::from_bytes([7; 16]));
    let first = Position::ZERO.next();
    refused(&*store, foreign(first), ErrorKind::CursorAhead, "in an empty log").await;
    store.append(append("flight-UA1545", Expected::NoStream, 5)).await.expect("an append");
    let events = log(&*store).await;
    for event in &events {
        let cursor = event.cursor();
        let page = store.read_log(Read::log().with_after(cursor)).await;
        page.unwrap_or_else(|error| panic!("a cursor of this log was refused: {error}"));
        refused(&*store, foreign(event.position()), ErrorKind::HistoryChanged, "inside the log")
            .await;
    }
    let head = events[4].position();
    refused(&*store, foreign(head.next()), ErrorKind::CursorAhead, "one past the head").await;
    refused(&*store, foreign(Position::MAX), ErrorKind::CursorAhead, "far past the head").await;
    let ahead = store.read_log(Read::log().with_after(head.next())).await;
    let kind = ahead.err().map(|error| error.kind());
    assert_eq!(
        kind,
        Some(ErrorKind::CursorAhead),
        "a position past the head has to be refused too"
    );
    let gap = Position::new(head.get() / 2).filter(|position| *position > Position::ZERO);
    if let Some(gap) = gap.filter(|gap| events.iter().all(|event| event.position() != *gap)) {
        refused(&*store, foreign(gap), ErrorKind::HistoryChanged, "where no event is").await;
    }
    store.append(append("flight-UA1545", Expected::Exists, 1)).await.expect("an append");
}

async fn refused(store: &dyn EventStore, cursor: Cursor, kind: ErrorKind, place: &str) {
    let Err(error) = store.read_log(Read::log().with_after(cursor)).await else {
        panic!(
            "a cursor of another history, {place}, was served: compare the event at its position, \
             not only the position, and return an error instead of waiting"
        )
    };
    assert_eq!(error.kind(), kind, "a cursor of another history, {place}: {error}");
    let before = store.head().await.expect("a head");
    let boundary = append("flight-AA1141", Expected::Any, 1)
        .with_check(Check::NothingAfter(of_type("Never"), cursor));
    let refused = store.append(boundary).await.err();
    assert_eq!(
        refused.map(|error| error.kind()),
        Some(kind),
        "an append whose boundary is of another history, {place}, has to be refused"
    );
    assert_eq!(store.head().await.expect("a head"), before, "a refused append wrote something");
}

/// Inputs of a filter law.
type Filtered = (Vec<Append>, Filter, Filter);

fn any_filtered() -> impl Strategy<Value = Filtered> {
    (any_appends(4..20), any_filter(), any_filter())
}

/// **Law.** A read with a filter returns exactly the events that
/// [`Filter::matches`] accepts, with every kind of value in any number.
pub fn filters_select_what_they_match(run: &LawRun, fixture: &dyn StoreFixture) {
    run.cases(60, any_filtered(), async |(appends, one, other)| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let model = filled(&*store, &appends).await;
        for filter in [one, other] {
            let found = pages(&*store, Read::log().with_filter(filter.clone())).await;
            let wanted: Vec<_> =
                model.log().iter().filter(|event| matches(&filter, event)).cloned().collect();
            assert!(
                found == wanted,
                "a filter selected {} events and matches {}: compare names byte by byte, treat a \
                 prefix as literal text, and treat a group without values as no \
                 restriction\n{filter:#?}",
                found.len(),
                wanted.len()
            );
        }
    });
}

/// **Law.** The intersection of two filters selects exactly what both select.
pub fn filters_intersect_exactly(run: &LawRun, fixture: &dyn StoreFixture) {
    run.cases(40, any_filtered(), async |(appends, one, other)| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let model = filled(&*store, &appends).await;
        let found =
            pages(&*store, Read::log().with_filter(one.clone().and(&other).expect("few queries")))
                .await;
        let both = |event: &&Event| matches(&one, event) && matches(&other, event);
        let wanted: Vec<_> = model.log().iter().filter(both).cloned().collect();
        assert!(
            found == wanted,
            "the intersection of two filters selected {} events and both match {}: every query has \
             to hold, so never merge their values\n{one:#?}\n{other:#?}",
            found.len(),
            wanted.len()
        );
    });
}

/// A second implementation of filters, to compare with.
fn matches(filter: &Filter, event: &Event) -> bool {
    let name = |patterns: &[downlink::filter::Pattern], name: &str| {
        patterns.is_empty()
            || patterns.iter().any(|pattern| match pattern {
                downlink::filter::Pattern::Is(whole) => whole.as_bytes() == name.as_bytes(),
                downlink::filter::Pattern::StartsWith(prefix) => {
                    name.as_bytes().starts_with(prefix.as_bytes())
                }
            })
    };
    filter.queries().iter().all(|query| {
        query.iter().map(downlink::FilterItem::parts).any(|parts| {
            name(parts.streams, event.stream().as_str())
                && name(parts.types, event.event_type().as_str())
                && parts.not_types.iter().all(|not| not != event.event_type())
                && parts.tags.iter().all(|tag| event.tags().contains(tag))
        })
    })
}
