//! Who reads the store when, and how much is held for readers that are behind.

use std::sync::atomic::AtomicUsize;

use futures::TryStreamExt;
use futures::future::join_all;
use tokio::sync::Semaphore;

use super::*;
use crate::budget::ByteBudget;
use crate::id::StreamId;
use crate::store::{EventStoreExt, Read, ReadLog, ReadStream};

const PAGE: usize = 100;

/// A store whose reads wait for a gate, except those of the tail.
#[derive(Clone, Debug)]
struct Gated {
    log: MemoryStore,
    gate: Arc<Semaphore>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gated {
    async fn with(events: usize) -> Self {
        let log = MemoryStore::new();
        for _ in 0..events / PAGE {
            let batch: Vec<_> = (0..PAGE).map(|_| event("FlightDelayed")).collect();
            log.append_to("flight-UA1545", Expected::Any, batch).await.unwrap();
        }
        let gate = Arc::new(Semaphore::new(0));
        Self { log, gate, under_way: Arc::default(), most: Arc::default() }
    }

    async fn hub(&self) -> Hub {
        let hub = Hub::builder(self.clone(), LocalBus::new()).with_page(PAGE, usize::MAX);
        hub.with_ring(PAGE, usize::MAX).start().await.unwrap()
    }

    async fn pass(&self) {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let _passed = self.gate.acquire().await.unwrap();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }
}

#[async_trait]
impl EventStore for Gated {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.log.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        if !read.is_live() {
            self.pass().await;
        }
        self.log.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.pass().await;
        self.log.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.log.head().await
    }

    fn commits(&self) -> Option<crate::commit::Commits> {
        None
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("never {what}"));
}

#[tokio::test]
async fn pages_streams_and_searches_take_turns_and_leave_room_for_short_reads() {
    let store = Gated::with(2_000).await;
    let hub = store.hub().await;
    let mut reads = Vec::new();
    for _ in 0..20 {
        let (page, stream, last) = (hub.clone(), hub.clone(), hub.clone());
        reads.push(tokio::spawn(async move { page.read_log(Read::log()).await.map(drop) }));
        let name = StreamId::new("flight-UA1545").unwrap();
        let read = async move { stream.read_stream(Read::stream(name)).await.map(drop) };
        reads.push(tokio::spawn(read));
        let subscribe = Subscribe::new().with_after(After::Last(10));
        reads.push(tokio::spawn(async move { last.subscribe(subscribe).await.map(drop) }));
    }
    until("three reads", || store.under_way.load(Ordering::SeqCst) == 3).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.most.load(Ordering::SeqCst), 3, "one turn is left for short reads");
    let near = hub.clone();
    let end = hub.cached_head();
    let short = tokio::spawn(async move { near.read_log(Read::log().with_after(end)).await });
    until("a short read", || store.under_way.load(Ordering::SeqCst) == 4).await;
    store.open();
    assert!(short.await.unwrap().is_ok());
    for read in join_all(reads).await {
        read.unwrap().unwrap();
    }
    assert_eq!(store.most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_memory_vouches_for_opens_without_the_store() {
    let store = Gated::with(1_000).await;
    let log: Vec<_> = store.log.log_events(Read::log()).try_collect().await.unwrap();
    let hub = store.hub().await;
    append(&hub, 5).await;
    until("delivered", || hub.cached_head() != log[999].cursor()).await;
    let open = |after| hub.subscribe(Subscribe::new().with_after(after)).now_or_never();
    for after in [After::Start, hub.cached_head().into(), log[999].cursor().into(), After::Now] {
        assert!(open(after).is_some(), "{after:?}");
    }
    for after in [log[0].cursor().into(), After::Last(1)] {
        assert!(open(after).is_none(), "{after:?}");
    }
}

#[tokio::test]
async fn pages_of_slow_readers_count_once_and_stay_within_their_budget() {
    let store = Gated::with(3_000).await;
    store.open();
    let log: Vec<_> = store.log.log_events(Read::log()).try_collect().await.unwrap();
    let hub = store.hub().await;
    let page = PAGE * 1_024;
    let budget = ByteBudget::new(3 * page);
    let mut readers = Vec::new();
    for place in (0..2_900).step_by(29) {
        let subscribe = Subscribe::new().with_after(log[place].cursor());
        let mut reader = hub.subscribe(subscribe.with_budget(budget.clone())).await.unwrap();
        assert_eq!(next(&mut reader).await.cursor(), log[place + 1].cursor());
        assert!(budget.used() <= budget.limit());
        readers.push((place, reader));
    }
    assert!(budget.used() > budget.limit() / 2, "some pages are held");
    for (place, reader) in &mut readers {
        for event in &log[*place + 2..] {
            assert_eq!(next(reader).await.cursor(), event.cursor());
        }
        assert!(matches!(next(reader).await, Item::Live { .. }));
        assert!(budget.used() <= budget.limit());
    }
    assert_eq!(budget.used(), 0, "pages that are only cached do not count");
}

#[tokio::test]
async fn the_next_page_is_read_while_one_is_examined_if_the_budget_has_room() {
    let store = Gated::with(1_000).await;
    store.open();
    let page = PAGE * 1_024;
    for (budget, pages) in [(usize::MAX, 2), (1 << 30, 2), (page, 1)] {
        let hub = store.hub().await;
        let subscribe = Subscribe::new().with_budget(ByteBudget::new(budget));
        let mut reader = hub.subscribe(subscribe).await.unwrap();
        assert!(matches!(next(&mut reader).await, Item::Event(_)));
        until("read", || hub.stats().page_reads == pages).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hub.stats().page_reads, pages, "one page ahead at most");
        for position in 2..=1_000 {
            assert_eq!(next(&mut reader).await.cursor().position().get(), position);
        }
        assert_eq!(hub.stats().page_reads, 10, "none is read twice");
        hub.shutdown().await;
    }
}

#[tokio::test]
async fn what_memory_vouched_for_is_verified_before_the_first_item() {
    let store = Gated::with(1_000).await;
    store.open();
    let backup = store.log.snapshot();
    let hub = Hub::builder(store.clone(), LocalBus::new())
        .with_poll_interval(Duration::from_hours(1))
        .start()
        .await
        .unwrap();
    append(&hub, 1).await;
    until("delivered", || hub.cached_head().position().get() == 1_001).await;
    let cursor = hub.cached_head();
    store.log.restore(&backup);
    // The tail has not noticed it yet.
    let mut resumed = hub.subscribe(Subscribe::new().with_after(cursor)).await.unwrap();
    let error = resumed.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorAhead);
    assert!(resumed.next().await.is_none());
}

#[tokio::test]
async fn the_head_of_a_search_is_not_before_its_cursor() {
    let store = Gated::with(1_000).await;
    let hub = store.hub().await;
    let last = Subscribe::new().with_after(After::Last(1));
    let searching = tokio::spawn({
        let hub = hub.clone();
        async move { hub.subscribe(last).await }
    });
    until("searched", || store.under_way.load(Ordering::SeqCst) == 1).await;
    append(&hub, 10).await;
    store.open();
    let found = searching.await.unwrap().unwrap();
    assert_eq!((found.cursor().position().get(), found.head_at_open()), (1_009, found.cursor()));
}

#[tokio::test]
async fn a_search_ends_with_the_hub() {
    let store = Gated::with(1_000).await;
    let hub = store.hub().await;
    let searching = tokio::spawn({
        let hub = hub.clone();
        async move { hub.subscribe(Subscribe::new().with_after(After::Last(1))).await }
    });
    until("searched", || store.under_way.load(Ordering::SeqCst) == 1).await;
    hub.shutdown().await;
    let searched = timeout(Duration::from_mins(1), searching).await.expect("the search ends");
    assert_eq!(searched.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
}
