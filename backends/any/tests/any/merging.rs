//! A log that is added to one with events of its own.

use std::sync::Arc;

use downlink::store::{ImportStore, Moved};
use downlink::{
    After, Cursor, EventStoreExt, Expected, Filter, FilterItem, Hub, Item, LocalBus, MemoryStore,
    NewEvent, Position, Read, Subscribe,
};
use downlink_any::copy::LogCopy;
use downlink_conformance_tests::sample::log;

use crate::copying::{Opened, log_of, small};

const GATE: &str = "gate-C71";

fn taken() -> NewEvent {
    NewEvent::json("GateTaken", "{}").expect("an event")
}

async fn take_gate(store: &dyn ImportStore) {
    store.append_to(GATE, Expected::Any, [taken()]).await.expect("an append");
}

fn position(number: u64) -> Position {
    Position::new(number).expect("a position")
}

async fn is_identical(copy: &LogCopy) -> bool {
    let end = copy.end().await.expect("the end");
    let comparison = copy.compare(end, |_| ()).await.expect("two logs");
    comparison.is_identical() && comparison.events == end.position().get()
}

/// A log without gaps in memory.
async fn original(count: u64) -> MemoryStore {
    MemoryStore::clone(&*log_of(&small(count)).await)
}

pub(crate) async fn a_log_is_added_to_another_one(opened: Opened) {
    let (from, to) = (original(1_300).await, Arc::clone(&opened.store));
    take_gate(&*to).await;
    let own = log(&*to).await;
    let copy = LogCopy::new(Arc::new(from.clone()), Arc::clone(&to)).into_existing("old");
    assert_eq!(copy.run(|_| ()).await.expect("a copy").events, 1_300);
    assert!(is_identical(&copy).await);
    from.append_to("flight-1", Expected::Exists, [taken()]).await.expect("an append");
    assert!(!is_identical(&copy).await, "an event is missing");
    assert_eq!(copy.run(|_| ()).await.expect("a copy").events, 1);
    let run = |old_from, old_to, new_from| Moved {
        source: "old".to_owned(),
        old_from: position(old_from),
        old_to: position(old_to),
        new_from: position(new_from),
    };
    assert_eq!(to.moved().await.expect("the runs"), [run(1, 1_301, 2)]);
    take_gate(&*to).await;
    from.append_to("flight-2", Expected::Exists, [taken()]).await.expect("an append");
    assert_eq!(copy.run(|_| ()).await.expect("a copy").events, 1);
    assert!(is_identical(&copy).await);
    let runs = [run(1, 1_301, 2), run(1_302, 1_302, 1_304)];
    assert_eq!(to.moved().await.expect("the runs"), runs);
    let all = log(&*to).await;
    assert!(all[..1] == own && all.len() == 1_304, "its own events stay where they were");
    let times: Vec<_> = all[1..1_301].iter().map(downlink::Event::recorded_at).collect();
    let given: Vec<_> =
        log(&from).await[..1_300].iter().map(downlink::Event::recorded_at).collect();
    assert_eq!(times, given, "times are kept");
    opened.close().await;
}

async fn follow(hub: &Hub, cursor: Cursor, filter: Filter) -> downlink::Result<Vec<(u64, String)>> {
    let subscribe = Subscribe::new().with_after(After::Cursor(cursor)).with_filter(filter);
    let mut events = hub.subscribe(subscribe).await?;
    let mut found = Vec::new();
    loop {
        match events.next().await.expect("no end")? {
            Item::Event(event) => {
                found.push((event.position().get(), event.stream().to_string()));
            }
            Item::Live { .. } => return Ok(found),
            _ => {}
        }
    }
}

pub(crate) async fn an_old_cursor_is_translated_once(opened: Opened) {
    let (from, to) = (original(30).await, Arc::clone(&opened.store));
    take_gate(&*to).await;
    take_gate(&*to).await;
    let copy = LogCopy::new(Arc::new(from.clone()), Arc::clone(&to)).into_existing("old");
    copy.run(|_| ()).await.expect("a copy");
    take_gate(&*to).await;
    let old: Vec<_> = log(&from).await.iter().map(downlink::Event::cursor).collect();
    let flights: Filter = FilterItem::new().with_stream_prefix("flight-").expect("a name").into();

    let plain = Hub::builder(Arc::clone(&to), LocalBus::new()).start().await.expect("a hub");
    let refused = follow(&plain, old[27], flights.clone()).await.expect_err("not translated");
    assert!(refused.is_other_history(), "{refused}");
    plain.shutdown().await;

    let hub = Hub::builder(Arc::clone(&to), LocalBus::new()).with_moved_cursors(Arc::clone(&to));
    let hub = hub.start().await.expect("a hub");
    let rest = [(31, "flight-29".to_owned()), (32, "flight-30".to_owned())];
    assert_eq!(follow(&hub, old[27], flights.clone()).await.expect("a translation"), rest);
    let page = Read::log().with_after(old[27]).with_filter(flights.clone());
    let page = hub.read_log(page).await.expect("a translation");
    assert_eq!(page.events.len(), 2);
    // From here on a client has cursors of this log.
    let new = page.events[0].cursor();
    assert_eq!(follow(&hub, new, flights.clone()).await.expect("its own cursor"), rest[1..]);

    // What the log had before would be skipped.
    for filter in
        [Filter::everything(), FilterItem::new().with_stream(GATE).expect("a name").into()]
    {
        let refused = follow(&hub, old[27], filter).await.expect_err("events would be skipped");
        assert!(refused.is_other_history(), "{refused}");
    }
    // A cursor with the position of a moved event, but of another one.
    let forged = Cursor::of(old[27].position(), downlink::EventId::now());
    let refused = follow(&hub, forged, flights).await.expect_err("another event");
    assert!(refused.is_other_history(), "{refused}");
    hub.shutdown().await;
    opened.close().await;
}

/// A log that was copied while others appended is in many runs. What is between them is searched
/// for each client that comes with an old cursor.
pub(crate) async fn the_search_for_skipped_events_is_bounded(runs: u32, opened: Opened) {
    let (from, to) = (MemoryStore::new(), Arc::clone(&opened.store));
    let copy = LogCopy::new(Arc::new(from.clone()), Arc::clone(&to)).into_existing("old");
    for _ in 0..runs {
        take_gate(&*to).await;
        from.append_to("flight-1", Expected::Any, [taken()]).await.expect("an append");
        copy.run(|_| ()).await.expect("a copy");
    }
    let hub = Hub::builder(Arc::clone(&to), LocalBus::new()).with_moved_cursors(Arc::clone(&to));
    let hub = hub.start().await.expect("a hub");
    let old = log(&from).await.last().map(downlink::Event::cursor).expect("an event");
    let flights: Filter = FilterItem::new().with_stream_prefix("flight-").expect("a name").into();
    match follow(&hub, old, flights).await {
        Ok(rest) => assert!(rest.is_empty() && runs <= 64, "{runs} runs were searched"),
        Err(refused) => assert!(refused.is_other_history() && runs > 64, "{runs} runs: {refused}"),
    }
    hub.shutdown().await;
    opened.close().await;
}
