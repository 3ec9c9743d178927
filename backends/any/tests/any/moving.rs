//! Moving a log: what is copied, what is refused, and what follows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use downlink::commit::Commits;
use downlink::event::Timestamp;
use downlink::store::{Appended, Import, ImportStore, Moved, Page, ReadLog, ReadStream};
use downlink::{
    After, Append, Cursor, ErrorKind, Event, EventId, EventStore, EventStoreExt, Expected, Hub,
    Item, LocalBus, MemoryStore, NewEvent, Result, Subscribe, Subscription,
};
use downlink_any::copy::LogCopy;
use futures::FutureExt;
use proptest::prelude::*;

use crate::copying::{
    Open, Opened, any_log, between_every_two, beyond_the_limits, copy, log_of, run, small,
};
use crate::merging;

const STORES: [Open; 3] = [
    || async { Opened::in_memory() }.boxed(),
    || Opened::in_a_file("rusqlite").boxed(),
    || Opened::in_a_file("sqlx").boxed(),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn a_log_is_the_same_after_every_copy(events in any_log()) {
        run(between_every_two(events, &STORES));
    }
}

#[test]
fn events_beyond_the_limits_of_appends_are_copied() {
    run(between_every_two(beyond_the_limits(), &STORES));
}

fn landed() -> NewEvent {
    NewEvent::json("FlightLanded", "{}").unwrap()
}

/// A log with this many events, in more than one batch from 1,001 on.
async fn flights(count: u64) -> MemoryStore {
    MemoryStore::clone(&*log_of(&small(count)).await)
}

#[tokio::test]
async fn an_empty_log_is_copied() {
    let copy = LogCopy::new(Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let copied = copy.run(|_| ()).await.unwrap();
    assert_eq!((copied.events, copied.head), (0, Cursor::START));
    assert!(copy.compare(copied.head, |_| ()).await.unwrap().is_identical());
}

#[tokio::test]
async fn what_is_appended_later_is_copied_by_the_next_run() {
    let (from, to) = (flights(1_500).await, MemoryStore::new());
    let copy = LogCopy::new(Arc::new(from.clone()), Arc::new(to.clone()));
    let mut is_first = true;
    let copied = copy.run(|_| {
        if std::mem::take(&mut is_first) {
            let append = from.append_to("flight-late", Expected::NoStream, [landed()]);
            append.now_or_never().unwrap().unwrap();
        }
    });
    let copied = copied.await.unwrap();
    assert_eq!(copied.events, 1_500, "up to where the log ended when the copy began");
    assert!(copied.original > copied.head);
    let comparison = copy.compare(copied.head, |_| ()).await.unwrap();
    assert!(comparison.is_identical());
    let comparison = copy.compare(copied.original, |_| ()).await.unwrap();
    let difference = comparison.difference.expect("an event is missing");
    assert!(difference.to_string().contains("the copy ends before"), "{difference}");
    assert_eq!(copy.run(|_| ()).await.unwrap().events, 1);
}

#[tokio::test]
async fn a_target_with_events_of_its_own_is_refused_before_anything_is_written() {
    let (from, to) = (flights(3).await, flights(2).await);
    let before = to.head().await.unwrap();
    let copy = LogCopy::new(Arc::new(from.clone()), Arc::new(to.clone()));
    let error = copy.run(|_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("empty target"), "{error}");
    assert_eq!(to.head().await.unwrap(), before);
    // Also a copy that is in use already, and one of a log that has lost its tail.
    let (in_use, shorter) = (from.snapshot(), flights(0).await);
    in_use.append_to("gate-C71", Expected::NoStream, [landed()]).await.unwrap();
    for (from, to) in [(from.clone(), in_use), (shorter, from)] {
        let copy = LogCopy::new(Arc::new(from), Arc::new(to));
        assert_eq!(copy.run(|_| ()).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
}

#[tokio::test]
async fn every_difference_is_found_and_named() {
    let events = small(2);
    let from = log_of(&events).await;
    let last = &events[1];
    let next = |position, time, content| {
        Event::new(position, last.stream().clone(), last.version(), time, content)
    };
    let (at, time, content) = (last.position(), last.recorded_at(), last.content());
    let other_id = content.clone().with_id(EventId::now());
    let other_metadata = content.clone().with_metadata_json("{}").unwrap();
    let changed = [
        (next(at.next(), time, content.clone()), "position"),
        (next(at, Timestamp::now(), content.clone()), "time"),
        (next(at, time, other_id), "id"),
        (next(at, time, other_metadata), "metadata"),
    ];
    for (event, part) in changed {
        let to = log_of(&[events[0].clone(), event]).await;
        let copy = LogCopy::new(from.clone(), to);
        let comparison = copy.compare(from.head().await.unwrap(), |_| ()).await.unwrap();
        let difference = comparison.difference.expect("a difference").to_string();
        assert!(difference.starts_with(&format!("another {part} at position")), "{difference}");
        assert_eq!(usize::try_from(comparison.events).unwrap(), events.len() - 1);
    }
}

/// A store to which something else appends before the second import.
#[derive(Debug)]
struct Intruded {
    store: Arc<dyn ImportStore>,
    imports: AtomicUsize,
}

#[async_trait]
impl ImportStore for Intruded {
    async fn import(&self, import: Import) -> Result<Cursor> {
        if self.imports.fetch_add(1, Ordering::Relaxed) == 1 {
            self.store.append_to("gate-C71", Expected::Any, [landed()]).await?;
        }
        self.store.import(import).await
    }

    async fn moved(&self) -> Result<Vec<Moved>> {
        self.store.moved().await
    }
}

#[async_trait]
impl EventStore for Intruded {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.store.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.store.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.store.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.store.head().await
    }

    fn commits(&self) -> Option<Commits> {
        self.store.commits()
    }
}

#[tokio::test]
async fn another_writer_is_noticed() {
    let from = Arc::new(flights(2_500).await);
    for open in STORES {
        let opened = open().await;
        let to = Intruded { store: Arc::clone(&opened.store), imports: AtomicUsize::new(0) };
        let copy = LogCopy::new(from.clone(), Arc::new(to));
        let mut done = 0;
        let error = copy.run(|progress| done = progress.events).await.unwrap_err();
        assert_eq!((error.kind(), done), (ErrorKind::Conflict, 1_000));
        assert!(error.to_string().contains("something else writes to the target"), "{error}");
        let error = copy.run(|_| ()).await.unwrap_err();
        assert!(error.to_string().contains("empty target"), "{error}");
        opened.close().await;
    }
}

/// The next events of a subscription.
async fn take(subscription: &mut Subscription, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let item = subscription.next().await.expect("no end").expect("no error");
        if let Item::Event(event) = item {
            events.push(event);
        }
    }
    events
}

#[tokio::test]
async fn a_follower_goes_on_in_the_copy_with_its_cursor() {
    let from = flights(1_700).await;
    let all = downlink_conformance_tests::sample::log(&from).await;
    let hub = Hub::builder(from.clone(), LocalBus::new()).start().await.unwrap();
    let mut before = hub.subscribe(Subscribe::new()).await.unwrap();
    let seen = take(&mut before, 1_234).await;
    let cursor = seen.last().unwrap().cursor();
    hub.shutdown().await;
    for open in STORES {
        let opened = open().await;
        copy(Arc::new(from.clone()), Arc::clone(&opened.store)).await.unwrap();
        let hub = Hub::builder(Arc::clone(&opened.store), LocalBus::new()).start().await.unwrap();
        let follow = Subscribe::new().with_after(After::Cursor(cursor));
        let mut after = hub.subscribe(follow).await.unwrap();
        let rest = take(&mut after, all.len() - seen.len()).await;
        assert!(rest == all[seen.len()..], "nothing is missing and nothing comes twice");
        hub.append_to("flight-1", Expected::Exists, [landed()]).await.unwrap();
        assert_eq!(take(&mut after, 1).await.len(), 1);
        hub.shutdown().await;
        opened.close().await;
    }
}

#[tokio::test]
async fn a_hub_of_the_target_follows_the_copy() {
    let from = flights(2_100).await;
    let opened = Opened::in_a_file("rusqlite").await;
    let hub = Hub::builder(Arc::clone(&opened.store), LocalBus::new()).start().await.unwrap();
    let mut follower = hub.subscribe(Subscribe::new()).await.unwrap();
    let copying = copy(Arc::new(from.clone()), Arc::clone(&opened.store));
    let (copied, events) = tokio::join!(copying, take(&mut follower, 2_100));
    copied.unwrap();
    assert!(events == downlink_conformance_tests::sample::log(&from).await);
    hub.shutdown().await;
    opened.close().await;
}

#[tokio::test]
async fn a_log_is_added_to_another_one() {
    for open in STORES {
        merging::a_log_is_added_to_another_one(open().await).await;
    }
}

#[tokio::test]
async fn an_old_cursor_is_translated_once() {
    for open in STORES {
        merging::an_old_cursor_is_translated_once(open().await).await;
    }
}

#[tokio::test]
async fn the_search_for_skipped_events_is_bounded() {
    for runs in [64, 65] {
        merging::the_search_for_skipped_events_is_bounded(runs, Opened::in_memory()).await;
    }
}

#[tokio::test]
async fn a_stream_in_both_logs_is_refused_before_anything_is_written() {
    let (from, to) = (flights(1_200).await, flights(1).await);
    let before = to.head().await.unwrap();
    let copy = LogCopy::new(Arc::new(from), Arc::new(to.clone())).into_existing("old");
    let error = copy.run(|_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("both logs have a stream 'flight-1'"), "{error}");
    assert_eq!((to.head().await.unwrap(), to.moved().await.unwrap()), (before, Vec::new()));
}

#[tokio::test]
async fn another_log_with_the_same_name_is_refused() {
    let to = MemoryStore::new();
    let copy =
        |from: MemoryStore| LogCopy::new(Arc::new(from), Arc::new(to.clone())).into_existing("old");
    copy(flights(10).await).run(|_| ()).await.unwrap();
    let error = copy(flights(20).await).run(|_| ()).await.unwrap_err();
    assert!(error.to_string().contains("another log with the name 'old'"), "{error}");
}
