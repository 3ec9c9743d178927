//! Stores, buses and logs that fail, panic or wait.

use super::*;
use crate::store::{ReadLog, ReadStream};

/// A bus that accepts nothing, and a store that fails on demand.
#[derive(Debug, Default)]
struct Faulty {
    store: MemoryStore,
    reads_fail: AtomicBool,
    reads_panic: AtomicBool,
    append_panics: AtomicBool,
    publish_panics: AtomicBool,
    listen_panics: AtomicBool,
    listen_fails: AtomicBool,
    published: AtomicU64,
}

#[async_trait]
impl Bus for Faulty {
    async fn publish(&self, _: Hint) -> Result<()> {
        self.published.fetch_add(1, Ordering::Relaxed);
        let panics = self.publish_panics.swap(false, Ordering::Relaxed);
        assert!(!panics, "this publication panics (injected by the test)");
        Err(Error::new(ErrorKind::Unavailable, "the bus is down"))
    }

    async fn listen(&self) -> Result<Listener> {
        let panics = self.listen_panics.load(Ordering::Relaxed);
        assert!(!panics, "listening panics (injected by the test)");
        if self.listen_fails.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "the bus cannot be listened to"));
        }
        let panics =
            futures::stream::poll_fn(|_| panic!("the listener panics (injected by the test)"));
        Ok(Listener::new(futures::stream::empty().chain(panics)))
    }
}

#[async_trait]
impl EventStore for Faulty {
    async fn append(&self, append: Append) -> Result<Appended> {
        let appended = self.store.append(append).await;
        let panics = self.append_panics.swap(false, Ordering::Relaxed);
        assert!(!panics, "this append panics after it is stored (injected by the test)");
        appended
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        let panics = read.is_live() && self.reads_panic.swap(false, Ordering::Relaxed);
        assert!(!panics, "this read panics (injected by the test)");
        if self.reads_fail.swap(false, Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Backend, "this read failed"));
        }
        self.store.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.store.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.store.head().await
    }

    fn commits(&self) -> Option<crate::commit::Commits> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_down_and_a_read_that_fails_only_cost_time() {
    let faulty = Arc::new(Faulty::default());
    let hub = Hub::builder(Arc::clone(&faulty), Arc::clone(&faulty)).start().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    faulty.reads_fail.store(true, Ordering::Relaxed);
    append(&hub, 2).await;
    assert!(matches!(next(&mut subscription).await, Item::Event(_)));
    // Appended without a notice or a hint: the poll finds it.
    let elsewhere = Append::to("s", Expected::Any, [event("A")]).unwrap();
    faulty.store.append(elsewhere).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Event(_)));
    assert!(matches!(next(&mut subscription).await, Item::Event(_)));
    let stats = hub.stats();
    assert!(stats.failed_reads >= 1 && stats.failed_listens >= 1, "{stats:?}");
    assert!(stats.failed_publications >= 1 && faulty.published.load(Ordering::Relaxed) >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_under_the_tail_costs_only_time() {
    let store = Arc::new(Faulty::default());
    let hub = Hub::builder(Arc::clone(&store), memory::LocalBus::new()).start().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    store.reads_panic.store(true, Ordering::Relaxed);
    append(&hub, 2).await;
    for _ in 0..2 {
        assert!(matches!(next(&mut subscription).await, Item::Event(_)));
    }
    hub.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_append_that_panics_after_it_is_stored_is_delivered() {
    let store = Arc::new(Faulty::default());
    let hub = Hub::builder(Arc::clone(&store), LocalBus::new())
        .with_poll_interval(Duration::from_hours(24))
        .start()
        .await
        .unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    store.append_panics.store(true, Ordering::Relaxed);
    let error = hub.append_to("s", Expected::Any, [event("A")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(matches!(next(&mut subscription).await, Item::Event(_)));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_panics_gets_the_next_hint() {
    let faulty = Arc::new(Faulty::default());
    let hub = Hub::builder(Arc::clone(&faulty), Arc::clone(&faulty)).start().await.unwrap();
    faulty.publish_panics.store(true, Ordering::Relaxed);
    for published in 1..=2 {
        append(&hub, 1).await;
        let woken = async {
            while faulty.published.load(Ordering::Relaxed) < published {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_mins(1), woken).await.expect("a hint is published");
    }
    hub.shutdown().await;
    assert_eq!(hub.stats().failed_publications, 2);
}

/// The output of log lines may be full, closed or broken.
#[tokio::test(start_paused = true)]
async fn a_log_that_panics_costs_nothing() {
    let _log = tracing::subscriber::set_default(crate::supervise::PanickingLog);
    let faulty = Arc::new(Faulty::default());
    let hub = Hub::builder(Arc::clone(&faulty), Arc::clone(&faulty)).start().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
    for _ in 0..3 {
        faulty.reads_fail.store(true, Ordering::Relaxed);
        faulty.reads_panic.store(true, Ordering::Relaxed);
        append(&hub, 2).await;
        for _ in 0..2 {
            assert!(matches!(next(&mut subscription).await, Item::Event(_)));
        }
    }
    hub.shutdown().await;
    assert!(hub.stats().failed_publications >= 3, "{:?}", hub.stats());
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_panics_or_fails_when_listened_to_delays_nothing() {
    for (panics, listen_fails) in [(true, false), (false, true), (false, false)] {
        let _log = tracing::subscriber::set_default(crate::supervise::PanickingLog);
        let faulty = Arc::new(Faulty::default());
        faulty.listen_panics.store(panics, Ordering::Relaxed);
        faulty.listen_fails.store(listen_fails, Ordering::Relaxed);
        let hub = Hub::builder(MemoryStore::new(), Arc::clone(&faulty)).start().await.unwrap();
        let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
        assert!(matches!(next(&mut subscription).await, Item::Live { .. }));
        for _ in 0..3 {
            append(&hub, 1).await;
            assert!(matches!(next(&mut subscription).await, Item::Event(_)));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(hub.is_following());
        let reads = hub.stats().tail_reads;
        assert!((1..20).contains(&reads), "{reads} in three seconds");
        hub.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_passed_the_head_and_has_more_to_read_has_not_fallen_behind() {
    let store = MemoryStore::new();
    let hub = Hub::builder(store.clone(), LocalBus::new()).with_ring(4, usize::MAX);
    let hub = hub.with_page(3, usize::MAX).start().await.unwrap();
    append(&hub, 10).await;
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Item::Event(_)));
    let newest = append(&hub, 20).await;
    while hub.cached_head() != newest {
        tokio::task::yield_now().await;
    }
    let rest: Vec<_> = events_until_live(&mut subscription).await;
    assert_eq!(rest, (2..=10).collect::<Vec<_>>());
    for position in 11..=30 {
        let item = next(&mut subscription).await;
        assert_eq!(item.cursor().position().get(), position, "{item:?}");
        assert!(matches!(item, Item::Event(_)), "{item:?}");
    }
    assert_eq!(hub.stats().fallen_behind, 0);
    let newest = append(&hub, 20).await;
    while hub.cached_head() != newest {
        tokio::task::yield_now().await;
    }
    assert!(matches!(next(&mut subscription).await, Item::Behind { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_hub_reports_that_its_tail_cannot_read() {
    let store = Arc::new(Faulty::default());
    let hub = Hub::builder(Arc::clone(&store), LocalBus::new()).start().await.unwrap();
    append(&hub, 1).await;
    while hub.cached_head() == Cursor::START {
        tokio::task::yield_now().await;
    }
    assert!(hub.is_following());
    while hub.is_following() {
        store.reads_fail.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while !hub.is_following() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    hub.shutdown().await;
    assert!(!hub.is_following());
}

/// A store whose appends wait for a permit.
#[derive(Debug)]
struct Held(MemoryStore, tokio::sync::Semaphore);

#[async_trait]
impl EventStore for Held {
    async fn append(&self, append: Append) -> Result<Appended> {
        let _passed = self.1.acquire().await.unwrap();
        self.0.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.0.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.0.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.0.head().await
    }

    fn commits(&self) -> Option<crate::commit::Commits> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_publishes_hints_of_the_appends_it_waits_for() {
    let store = Arc::new(Held(MemoryStore::new(), tokio::sync::Semaphore::new(0)));
    let bus = Arc::new(Faulty::default());
    let hub = Hub::builder(Arc::clone(&store), Arc::clone(&bus)).start().await.unwrap();
    let appending = tokio::spawn({
        let hub = hub.clone();
        async move { hub.append_to("s", Expected::Any, [event("A")]).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut shutdown = Box::pin(hub.shutdown());
    assert!(timeout(Duration::from_secs(1), &mut shutdown).await.is_err());
    assert_eq!(bus.published.load(Ordering::Relaxed), 0);
    store.1.add_permits(1);
    shutdown.await;
    appending.await.unwrap().expect("it was stored");
    assert_eq!(bus.published.load(Ordering::Relaxed), 1);
}

/// Extreme durations in the options neither panic nor cause a busy loop.
#[tokio::test(start_paused = true)]
async fn a_hub_accepts_every_duration() {
    for extreme in [Duration::MAX, Duration::ZERO] {
        let hub = Hub::builder(MemoryStore::new(), LocalBus::new())
            .with_poll_interval(extreme)
            .with_checkpoint(1_000, extreme)
            .with_publish_deadline(extreme)
            .start()
            .await
            .unwrap();
        let other = FilterItem::new().with_type("Other").unwrap();
        let mut subscription =
            hub.subscribe(Subscribe::new().with_filter(other.into())).await.unwrap();
        let following = tokio::spawn(async move {
            while let Some(item) = subscription.next().await {
                item.unwrap();
            }
        });
        for _ in 0..3 {
            let departed = NewEvent::json("FlightDeparted", "{}").unwrap();
            hub.append_to("flight-UA1545", Expected::Any, [departed]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!following.is_finished(), "{extreme:?}");
        let reads = hub.stats().tail_reads;
        assert!(reads < 100, "{reads} reads in 30 ms with {extreme:?}");
        hub.shutdown().await;
        following.await.unwrap();
    }
}
