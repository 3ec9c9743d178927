use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::*;
use crate::bus::{Bus, Hint, Listener};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::filter::{Filter, FilterItem};
use crate::id::EventId;
use crate::memory;
use crate::memory::{LocalBus, MemoryStore};
use crate::store::{Append, Appended, EventStore, Expected, Page};

mod faults;
mod turns;

fn event(event_type: &str) -> NewEvent {
    NewEvent::json(event_type, "{}").unwrap()
}

async fn append(hub: &Hub, count: usize) -> Cursor {
    let events: Vec<_> = (0..count).map(|_| event("FlightDelayed")).collect();
    hub.append_to("flight-UA1545", Expected::Any, events).await.unwrap().cursor
}

async fn next(subscription: &mut Subscription) -> Item {
    timeout(Duration::from_mins(1), subscription.next())
        .await
        .expect("an item within the deadline")
        .expect("an open subscription")
        .unwrap()
}

async fn events_until_live(subscription: &mut Subscription) -> Vec<u64> {
    let mut positions = Vec::new();
    loop {
        match next(subscription).await {
            Item::Event(event) => positions.push(event.position().get()),
            Item::Live { .. } => return positions,
            Item::Checkpoint(_) | Item::Behind { .. } => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn history_comes_first_then_live_then_what_happens() {
    let hub = memory::hub().await.unwrap();
    append(&hub, 3).await;
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert_eq!(events_until_live(&mut subscription).await, [1, 2, 3]);
    let cursor = append(&hub, 1).await;
    assert_eq!(next(&mut subscription).await.cursor(), cursor);
    assert_eq!(subscription.cursor(), cursor);
}

#[tokio::test(start_paused = true)]
async fn live_comes_even_if_the_log_is_empty() {
    let hub = memory::hub().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new().with_after(After::Now)).await.unwrap();
    let live = Item::Live { cursor: Cursor::START, head: Cursor::START };
    assert_eq!(next(&mut subscription).await, live);
}

#[tokio::test(start_paused = true)]
async fn live_comes_while_the_log_moves() {
    let hub = memory::hub().await.unwrap();
    append(&hub, 10).await;
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    for delivered in 1..=11 {
        // There is always another event after the one that is taken.
        let newest = append(&hub, 1).await;
        while hub.cached_head() != newest {
            tokio::task::yield_now().await;
        }
        match next(&mut subscription).await {
            Item::Event(event) => assert_eq!(event.position().get(), delivered),
            Item::Live { cursor, head } => {
                assert_eq!((cursor.position().get(), head.position().get()), (11, 11));
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    let item = next(&mut subscription).await;
    assert!(matches!(item, Item::Live { .. }), "{item:?} after everything up to the head at open");
}

#[tokio::test(start_paused = true)]
async fn an_idle_reader_holds_events_bounded_in_bytes() {
    let hub = memory::hub().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    let large = |n: usize| NewEvent::json("T", format!("\"{n}{}\"", "x".repeat(60_000)));
    let events: Vec<_> = (0..40).map(|n| large(n).unwrap()).collect();
    let head = hub.append_to("s", Expected::Any, events).await.unwrap().cursor;
    while hub.cached_head() != head {
        tokio::task::yield_now().await;
    }
    assert!(matches!(next(&mut subscription).await, Item::Event(_)));
    assert_eq!(subscription.items_held(), 0, "the next event is not taken before it is asked for");
    assert_eq!(std::iter::from_fn(|| subscription.try_next()).count(), 39);
}

#[tokio::test(start_paused = true)]
async fn a_cached_subscription_begins_in_memory_or_not_at_all() {
    let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).with_ring(4, usize::MAX);
    let hub = hub.start().await.unwrap();
    let everything = Filter::everything;
    let mut cursors = vec![Cursor::START];
    for _ in 0..6 {
        cursors.push(append(&hub, 1).await);
    }
    while Some(&hub.cached_head()) != cursors.last() {
        tokio::task::yield_now().await;
    }
    for cursor in &cursors[..2] {
        assert!(
            hub.subscribe_cached(*cursor, everything()).is_none(),
            "{cursor} is no longer in memory"
        );
    }
    let alien = Cursor::of(cursors[6].position(), EventId::from_bytes([7; 16]));
    assert!(hub.subscribe_cached(alien, everything()).is_none());
    for (place, cursor) in cursors.iter().enumerate().skip(2) {
        let mut tail = hub.subscribe_cached(*cursor, everything()).unwrap();
        assert_eq!(std::iter::from_fn(|| tail.try_next()).count(), 6 - place);
    }
    let mut tail = hub.subscribe_cached(hub.cached_head(), everything()).unwrap();
    assert!(timeout(Duration::from_secs(9), tail.next()).await.is_err(), "it yields no `Live`");
    let newest = append(&hub, 1).await;
    assert_eq!(next(&mut tail).await.cursor(), newest);
    drop(tail);
    assert_eq!(hub.stats().open_subscriptions, 0);
    hub.shutdown().await;
    assert!(hub.subscribe_cached(newest, everything()).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_last_n_are_matching_ones() {
    let hub = memory::hub().await.unwrap();
    for event_type in ["A", "B", "A", "B", "A", "B", "B"] {
        hub.append_to("s", Expected::Any, [event(event_type)]).await.unwrap();
    }
    let filter = || Filter::types(["A"]);
    let subscribe = |count| Subscribe::new().with_after(After::Last(count)).with_filter(filter());
    for (count, expected) in [(0, &[][..]), (1, &[5]), (2, &[3, 5]), (9, &[1, 3, 5])] {
        let mut subscription = hub.subscribe(subscribe(count)).await.unwrap();
        assert_eq!(events_until_live(&mut subscription).await, expected, "last {count}");
    }
    assert_eq!(hub.subscribe(subscribe(1_001)).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_falls_behind_reports_it_once_and_misses_nothing() {
    let hub = Hub::builder(MemoryStore::new(), LocalBus::new())
        .with_ring(4, usize::MAX)
        .with_page(3, usize::MAX)
        .start()
        .await
        .unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(events_until_live(&mut subscription).await.is_empty());
    let head = append(&hub, 20).await;
    while hub.cached_head() != head {
        tokio::task::yield_now().await;
    }
    assert!(matches!(next(&mut subscription).await, Item::Behind { cursor: Cursor::START, .. }));
    let expected: Vec<u64> = (1..=20).collect();
    assert_eq!(events_until_live(&mut subscription).await, expected);
    assert_eq!(hub.stats().fallen_behind, 1);
}

#[tokio::test(start_paused = true)]
async fn scanned_is_known_unless_an_item_is_waiting() {
    let hub = memory::hub().await.unwrap();
    let nothing = FilterItem::new().with_type("Never").unwrap();
    let mut sparse = hub.subscribe(Subscribe::new().with_filter(nothing.into())).await.unwrap();
    let mut all = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut sparse).await, Item::Live { .. }));
    assert!(matches!(next(&mut all).await, Item::Live { .. }));
    let head = append(&hub, 2).await;
    assert!(timeout(Duration::from_secs(1), sparse.next()).await.is_err());
    assert_eq!((sparse.cursor(), sparse.scanned()), (Cursor::START, Some(head)));
    next(&mut all).await;
    assert_eq!(all.scanned(), None);
    next(&mut all).await;
    assert_eq!(all.scanned(), Some(head));
}

#[tokio::test(start_paused = true)]
async fn a_sparse_filter_yields_checkpoints_by_count_and_when_live_by_time() {
    let hub = Hub::builder(MemoryStore::new(), LocalBus::new())
        .with_checkpoint(10, Duration::from_secs(10))
        .start()
        .await
        .unwrap();
    let head = append(&hub, 100).await;
    let mut subscription =
        hub.subscribe(Subscribe::new().with_filter(Filter::types(["Never"]))).await.unwrap();
    let by_count = next(&mut subscription).await;
    assert!(matches!(by_count, Item::Checkpoint(cursor) if cursor < head), "{by_count:?}");
    assert_eq!(next(&mut subscription).await, Item::Live { cursor: head, head });
    for _ in 0..3 {
        let began = tokio::time::Instant::now();
        let newest = append(&hub, 25).await;
        assert_eq!(next(&mut subscription).await, Item::Checkpoint(newest));
        assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
    }
    let nothing_new = timeout(Duration::from_mins(1), subscription.next()).await;
    assert!(nothing_new.is_err(), "{nothing_new:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_subscription_does_not_fall_behind() {
    let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).with_ring(4, usize::MAX);
    let hub = hub.with_checkpoint(1_000, Duration::from_hours(1)).start().await.unwrap();
    let subscribe = Subscribe::new().with_filter(Filter::types(["FlightDeparted"]));
    let mut subscription = hub.subscribe(subscribe).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    for _ in 0..20 {
        assert!(subscription.next().now_or_never().is_none());
        let head = append(&hub, 1).await;
        while hub.cached_head() != head {
            tokio::task::yield_now().await;
        }
        assert_eq!(subscription.scanned(), Some(head));
    }
    let departed = [event("FlightDeparted")];
    let departed = hub.append_to("s", Expected::Any, departed).await.unwrap().cursor;
    assert!(
        matches!(next(&mut subscription).await, Item::Event(event) if event.cursor() == departed)
    );
    assert_eq!((hub.stats().fallen_behind, hub.stats().page_reads), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_log_ends_subscriptions_and_refuses_old_cursors() {
    let store = MemoryStore::new();
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let backup = store.snapshot();
    let old = append(&hub, 3).await;
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    events_until_live(&mut subscription).await;

    store.restore(&backup);
    let error = subscription.next().await.unwrap().unwrap_err();
    assert!(error.is_other_history(), "{error}");
    assert!(subscription.next().await.is_none());
    let ahead = hub.subscribe(Subscribe::new().with_after(old)).await.unwrap_err();
    assert_eq!(ahead.kind(), ErrorKind::CursorAhead);
    append(&hub, 5).await;
    let changed = hub.subscribe(Subscribe::new().with_after(old)).await.unwrap_err();
    assert_eq!(changed.kind(), ErrorKind::HistoryChanged);
    let mut fresh = hub.subscribe(Subscribe::new()).await.unwrap();
    assert_eq!(events_until_live(&mut fresh).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn shutdown_and_drop_end_everything() {
    let hub = memory::hub().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    hub.shutdown().await;
    assert!(subscription.next().await.is_none());
    let refused = hub.append_to("s", Expected::Any, [event("A")]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(hub.subscribe(Subscribe::new()).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let hub = memory::hub().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    drop(hub);
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn a_dropped_append_is_stored_and_delivered() {
    let hub = memory::hub().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new().with_after(After::Now)).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    // Polled once: the store has it.
    drop(hub.append_to("s", Expected::Any, [event("A")]).now_or_never());
    assert!(matches!(next(&mut subscription).await, Item::Event(_)));
}

#[tokio::test]
async fn waiting_items_are_taken_without_waiting() {
    let hub = memory::hub().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    assert_eq!(subscription.try_next(), None);
    let head = append(&hub, 100).await;
    while hub.cached_head() != head {
        tokio::task::yield_now().await;
    }
    let taken = std::iter::from_fn(|| subscription.try_next()).count();
    assert_eq!(taken, 100);
    assert_eq!(subscription.cursor(), head);
}

#[tokio::test]
async fn subscriptions_are_counted_while_they_are_open() {
    let hub = memory::hub().await.unwrap();
    let stream = hub.subscribe(Subscribe::new()).await.unwrap().into_stream();
    assert_eq!(hub.stats().open_subscriptions, 1);
    drop(stream.take(0));
    assert_eq!(hub.stats().open_subscriptions, 0);
}
