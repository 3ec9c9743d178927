//! Copies between every two stores.

use std::sync::Arc;

use downlink::event::{ContentType, StoredParts, Timestamp};
use downlink::store::{Import, ImportStore};
use downlink::{
    Cursor, Event, EventId, EventType, MemoryStore, NewEvent, Position, Result, StreamId, Tag,
    Version,
};
use downlink_any::Log;
use downlink_any::copy::LogCopy;
use downlink_conformance_tests::Guard;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

/// Opens an empty store.
pub(crate) type Open = fn() -> futures::future::BoxFuture<'static, Opened>;

/// A store, and what it needs.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn ImportStore>,
    log: Option<Log>,
    _guard: Guard,
}

impl Opened {
    pub(crate) fn of(log: Log, guard: Guard) -> Self {
        Self { store: log.import_store(), log: Some(log), _guard: guard }
    }

    pub(crate) fn in_memory() -> Self {
        Self { store: Arc::new(MemoryStore::new()), log: None, _guard: Guard::none() }
    }

    /// In a file of a temporary folder, through this driver.
    pub(crate) async fn in_a_file(driver: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let log = Log::open(&format!("{driver}:{}/log.db", folder.path().display())).await;
        Self::of(log.expect("a log"), Guard::new(folder))
    }

    pub(crate) async fn close(self) {
        if let Some(log) = self.log {
            log.close().await;
        }
    }
}

const STREAMS: [&str; 3] = ["flight-UA1545", "flight-DL461", "gate-C71"];

/// Any log, with gaps between its positions.
pub(crate) fn any_log() -> impl Strategy<Value = Vec<Event>> {
    let one =
        (1_u64..60, 0..STREAMS.len(), vec(any::<u8>(), 0..60), any::<bool>(), vec(".{1,8}", 0..3));
    vec(one, 1..60).prop_map(|all| {
        let (mut at, mut versions) = (0, [0; STREAMS.len()]);
        let events = all.into_iter().map(|(gap, stream, payload, is_json, tags)| {
            at += gap;
            versions[stream] += 1;
            event(at, STREAMS[stream], versions[stream], parts(payload, is_json, &tags))
        });
        events.collect()
    })
}

fn parts(payload: Vec<u8>, is_json: bool, tags: &[String]) -> StoredParts {
    let binary = ContentType::new("application/octet-stream").expect("a content type");
    StoredParts {
        id: EventId::now(),
        event_type: EventType::from_static("FlightDelayed"),
        content_type: if is_json { ContentType::JSON } else { binary },
        payload: payload.into(),
        metadata: r#" {"by": "tower"} "#.into(),
        tags: tags.iter().filter_map(|tag| Tag::new(tag).ok()).collect(),
    }
}

fn event(at: u64, stream: &str, version: u64, parts: StoredParts) -> Event {
    let position = Position::new(at).expect("a position");
    let version = Version::new(version).expect("a version");
    let time = Timestamp::from_micros(1_357_034_400_000_000 + at);
    let content = NewEvent::from_stored(parts);
    Event::new(position, StreamId::new(stream).expect("a name"), version, time, content)
}

/// A log of this many small events, without gaps.
pub(crate) fn small(count: u64) -> Vec<Event> {
    let small = |at: u64| {
        let stream = format!("flight-{}", at % 100);
        event(at, &stream, at.div_ceil(100), parts(b"{\"minutes\":5}".to_vec(), true, &[]))
    };
    (1..=count).map(small).collect()
}

/// Events that no release would accept today: large ones, many tags, and what is no JSON.
pub(crate) fn beyond_the_limits() -> Vec<Event> {
    let many: Vec<_> = (0..200).map(|number| format!("tag-{number}")).collect();
    let all = [
        parts(vec![b'7'; 3 << 20], true, &[]),
        parts(vec![0; 17 << 20], false, &[]),
        StoredParts {
            metadata: format!("{{\"a\":\"{}\"}}", "x".repeat(200_000)).into(),
            ..parts(b"{\"a\":".to_vec(), true, &many)
        },
    ];
    (1..).zip(all).map(|(at, parts)| event(at * 7, STREAMS[0], at, parts)).collect()
}

/// A log in memory with these events.
pub(crate) async fn log_of(events: &[Event]) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    if !events.is_empty() {
        store.import(Import::new(Cursor::START, events.to_vec())).await.expect("a log");
    }
    Arc::new(store)
}

/// Copies a log, in two runs, and compares the two.
pub(crate) async fn copy(from: Arc<dyn ImportStore>, to: Arc<dyn ImportStore>) -> Result<()> {
    let copy = LogCopy::new(from, to);
    let mut seen = 0;
    let copied = copy.run(|progress| seen = progress.events).await?;
    assert_eq!((copied.events, copied.resumed_at), (seen, Cursor::START));
    let again = copy.run(|_| panic!("there is nothing left to copy")).await?;
    assert_eq!((again.events, again.resumed_at, again.head), (0, copied.head, copied.head));
    let comparison = copy.compare(copied.head, |_| ()).await?;
    assert!(comparison.is_identical(), "{}", comparison.difference.expect("a difference"));
    assert!(!comparison.has_more && comparison.events == seen);
    Ok(())
}

/// Copies these events into each store, from each into each, and back into memory.
pub(crate) async fn between_every_two(events: Vec<Event>, stores: &[Open]) {
    for from in stores {
        let first = from().await;
        copy(log_of(&events).await, Arc::clone(&first.store)).await.unwrap();
        for to in stores {
            let second = to().await;
            copy(Arc::clone(&first.store), Arc::clone(&second.store)).await.unwrap();
            let back = Arc::new(MemoryStore::new());
            copy(Arc::clone(&second.store), Arc::clone(&back) as Arc<dyn ImportStore>)
                .await
                .unwrap();
            let found = downlink_conformance_tests::sample::log(&*back).await;
            assert!(found == events, "the events differ after three copies");
            second.close().await;
        }
        first.close().await;
    }
}

/// Runs a test on a runtime of its own, for each case of a property.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test);
}
