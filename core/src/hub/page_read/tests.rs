use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::event::{Event, Format, NewEvent};
use crate::filter::FilterItem;
use crate::hub::bounds::cost;
use crate::hub::cached_page::OVERHEAD;
use crate::hub::{After, Hub, HubBuilder, Item, Subscribe, Subscription};
use crate::memory::{LocalBus, MemoryStore};
use crate::store::{
    Append, Appended, DEFAULT_LIMIT, EventStore, EventStoreExt, Expected, Page, ReadLog, ReadStream,
};

const PAGE: usize = 100;

/// A store that counts the reads of subscriptions, and can block reads.
#[derive(Clone, Debug)]
struct Counting {
    log: MemoryStore,
    all: Arc<AtomicUsize>,
    filtered: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    /// Blocks the reads of the tail.
    tail: Arc<Semaphore>,
}

impl Counting {
    fn new() -> Self {
        let open = || Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let (all, filtered) = (Arc::default(), Arc::default());
        Self { log: MemoryStore::new(), all, filtered, gate: open(), tail: open() }
    }

    async fn with(count: usize) -> Self {
        let store = Self::new();
        store.put(count, |_| "FlightDelayed").await;
        store
    }

    /// Appends without going through the hub.
    async fn put(&self, count: usize, event_type: impl Fn(usize) -> &'static str) {
        let event = |n| NewEvent::json(event_type(n), "{}").unwrap();
        for batch in (0..count).collect::<Vec<_>>().chunks(1_000) {
            let events: Vec<_> = batch.iter().map(|n| event(*n)).collect();
            self.log.append_to("flight-UA1545", Expected::Any, events).await.unwrap();
        }
    }

    fn hub(&self) -> HubBuilder {
        Hub::builder(self.clone(), LocalBus::new())
            .with_page(PAGE, usize::MAX)
            .with_poll_interval(Duration::from_hours(1))
    }

    fn reads(&self) -> (usize, usize) {
        (self.all.load(Ordering::SeqCst), self.filtered.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl EventStore for Counting {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.log.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        let gate = match read.limit() {
            DEFAULT_LIMIT => &self.tail,
            PAGE => &self.gate,
            _ => return self.log.read_log(read).await,
        };
        let counter = if read.filter().is_everything() { &self.all } else { &self.filtered };
        counter.fetch_add(usize::from(read.limit() == PAGE), Ordering::SeqCst);
        let _passed = gate.acquire().await.unwrap();
        self.log.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.log.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.log.head().await
    }

    fn commits(&self) -> Option<crate::commit::Commits> {
        None
    }
}

async fn log_of(store: &Counting) -> Vec<Event> {
    store.log.log_events(Read::log()).try_collect().await.unwrap()
}

fn only(event_type: &str) -> Filter {
    FilterItem::new().with_type(event_type).unwrap().into()
}

async fn next(subscription: &mut Subscription) -> Result<Item> {
    let item = timeout(Duration::from_mins(1), subscription.next()).await;
    item.expect("an item within the deadline").expect("an open subscription")
}

async fn until_live(subscription: &mut Subscription) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    loop {
        match next(subscription).await? {
            Item::Event(event) => events.push(event),
            Item::Live { .. } => return Ok(events),
            _ => {}
        }
    }
}

async fn follow_all(
    hub: &Hub,
    subscribe: impl Fn(usize) -> Subscribe,
    count: usize,
) -> Vec<Vec<Event>> {
    let follow = async |n| {
        let mut subscription = hub.subscribe(subscribe(n)).await.unwrap();
        until_live(&mut subscription).await.unwrap()
    };
    join_all((0..count).map(follow)).await
}

#[tokio::test(start_paused = true)]
async fn subscriptions_that_resume_at_one_place_read_and_render_once() {
    let store = Counting::with(1_000).await;
    let hub = store.hub().start().await.unwrap();
    let all_events = follow_all(&hub, |_| Subscribe::new(), 1_000).await;
    assert_eq!(store.reads(), (10, 0));
    let renders = AtomicUsize::new(0);
    for event in all_events.iter().flatten() {
        event.rendered(Format::shared("test"), |_| {
            renders.fetch_add(1, Ordering::SeqCst);
            Bytes::new()
        });
    }
    assert_eq!(all_events.iter().map(Vec::len).sum::<usize>(), 1_000_000);
    assert_eq!(renders.into_inner(), 1_000);
    assert_eq!((hub.stats().page_reads, hub.stats().shared_pages), (10, 9_990));
}

#[tokio::test(start_paused = true)]
async fn subscriptions_share_pages_whatever_their_filters_and_places() {
    let store = Counting::new();
    store.put(1_000, |n| if n % 2 == 0 { "FlightDelayed" } else { "FlightDeparted" }).await;
    let hub = store.hub().start().await.unwrap();
    let log = log_of(&store).await;
    let subscribe = |n: usize| {
        let filter = [Filter::everything(), only("FlightDelayed"), only("FlightDeparted")];
        Subscribe::new().with_after(log[n % 50].cursor()).with_filter(filter[n % 3].clone())
    };
    let all_events = follow_all(&hub, subscribe, 300).await;
    let (all, filtered) = store.reads();
    assert!(all <= 12 && filtered == 0, "{all} and {filtered}");
    for (n, events) in all_events.iter().enumerate() {
        let wanted = subscribe(n);
        let expected =
            log[n % 50 + 1..].iter().filter(|event| wanted.filter().matches_event(event));
        assert!(events.iter().eq(expected), "subscriber {n}");
    }
}

/// As after a restart of the server: each subscription resumes at a place of
/// its own.
#[tokio::test(start_paused = true)]
async fn reconnects_at_many_places_share_pages() {
    let places = 400..900;
    let shuffled = |n: usize| 400 + (n * 211) % 500;
    let orders: [&dyn Fn(usize) -> usize; 3] = [&|n| 400 + n, &|n| 899 - n, &shuffled];
    for place_of in orders {
        let store = Counting::with(1_000).await;
        let hub = store.hub().start().await.unwrap();
        let log = log_of(&store).await;
        let subscribe = |n| Subscribe::new().with_after(log[place_of(n)].cursor());
        let all_events = follow_all(&hub, subscribe, places.len()).await;
        // Six pages, and a few that begin elsewhere.
        let (all, filtered) = store.reads();
        assert!(all <= 18 && filtered == 0, "{all} and {filtered}");
        for (n, events) in all_events.iter().enumerate() {
            assert_eq!(events[..], log[place_of(n) + 1..], "subscriber {n}");
        }
    }
}

/// Pages are bounded in bytes, too, and may end before the places of waiting
/// subscriptions.
#[tokio::test(start_paused = true)]
async fn a_page_that_ends_too_early_for_a_neighbour_delays_nothing() {
    let store = Counting::with(1_000).await;
    let log = log_of(&store).await;
    let hub = store.hub().with_page(PAGE, 10 * log[0].size()).start().await.unwrap();
    let subscribe = |n: usize| Subscribe::new().with_after(log[900 - 7 * n].cursor());
    for (n, events) in follow_all(&hub, subscribe, 50).await.iter().enumerate() {
        assert_eq!(events[..], log[900 - 7 * n + 1..], "subscriber {n}");
    }
    // A hundred pages, and each of the fifty subscriptions may have read one that it could not use.
    assert!(store.reads().0 <= 160, "{}", store.reads().0);
}

#[tokio::test(start_paused = true)]
async fn sparse_filters_are_left_to_the_store_and_shared_too() {
    let store = Counting::new();
    store.put(20_000, |n| if n % 1_000 == 0 { "FlightDiverted" } else { "FlightDelayed" }).await;
    let hub = store.hub().start().await.unwrap();
    let all_events =
        follow_all(&hub, |_| Subscribe::new().with_filter(only("FlightDiverted")), 100).await;
    assert!(all_events.iter().all(|events| events.len() == 20));
    let (all, filtered) = store.reads();
    // The store examines 10,000 events per page.
    assert!((1..=20).contains(&all) && filtered == 2, "{all} and {filtered}");
}

#[tokio::test(start_paused = true)]
async fn later_subscriptions_use_kept_pages_up_to_the_limit() {
    let store = Counting::with(1_000).await;
    let one_page =
        PAGE * cost(&store.log.read_log(Read::log()).await.unwrap().events[0]) + OVERHEAD;
    let hub = store.hub().with_page_cache(5 * one_page).start().await.unwrap();
    follow_all(&hub, |_| Subscribe::new(), 1).await;
    assert_eq!(store.reads().0, 10);
    let near_the_end = hub.read_log(Read::log().backward().with_limit(450)).await.unwrap().events;
    let after = near_the_end.last().unwrap().cursor();
    follow_all(&hub, |_| Subscribe::new().with_after(after), 1).await;
    assert_eq!(store.reads().0, 10, "the newest five pages were kept");
    follow_all(&hub, |_| Subscribe::new(), 1).await;
    assert!(store.reads().0 > 10, "the oldest were not");
    let none = store.hub().with_page_cache(0).start().await.unwrap();
    follow_all(&none, |_| Subscribe::new(), 1).await;
    let before = store.reads().0;
    follow_all(&none, |_| Subscribe::new(), 1).await;
    assert_eq!(store.reads().0, before + 10);
}

#[tokio::test]
async fn the_next_page_is_read_while_the_subscription_is_busy() {
    let store = Counting::with(3 * PAGE).await;
    let hub = store.hub().start().await.unwrap();
    let mut subscription = hub.subscribe(Subscribe::new()).await.unwrap();
    next(&mut subscription).await.unwrap();
    // No other task has run since the first page was returned.
    assert_eq!(store.reads().0, 2);
}

#[tokio::test(start_paused = true)]
async fn kept_pages_never_hide_a_replaced_log() {
    let store = Counting::with(300).await;
    let backup = store.log.snapshot();
    store.put(200, |_| "FlightDelayed").await;
    let hub = store.hub().start().await.unwrap();
    follow_all(&hub, |_| Subscribe::new(), 3).await;
    let mut stays = hub.subscribe(Subscribe::new()).await.unwrap();
    until_live(&mut stays).await.unwrap();

    store.log.restore(&backup);
    store.put(400, |_| "FlightDeparted").await;
    // The tail has not noticed yet, so this subscription is served cached pages; it is ended later.
    let mut early = hub.subscribe(Subscribe::new()).await.unwrap();
    if let Err(error) = until_live(&mut early).await {
        assert!(error.is_other_history(), "{error}");
    }
    hub.append_to("s", Expected::Any, [NewEvent::json("Wakes", "{}").unwrap()]).await.unwrap();
    for mut subscription in [stays, early] {
        while let Some(item) = subscription.next().await {
            let Err(error) = item else { continue };
            assert!(error.is_other_history(), "{error}");
        }
    }
    let log = log_of(&store).await;
    for events in follow_all(&hub, |_| Subscribe::new(), 3).await {
        assert_eq!(events, log);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_above_the_tip_are_not_kept() {
    let store = Counting::with(150).await;
    let hub = store.hub().start().await.unwrap();
    let backup = store.log.snapshot();
    // The tail never sees these events, and will not notice that they disappear again.
    store.tail.forget_permits(Semaphore::MAX_PERMITS);
    store.put(20, |_| "FlightDelayed").await;
    let mut early = hub.subscribe(Subscribe::new()).await.unwrap();
    for _ in 0..170 {
        assert!(matches!(next(&mut early).await, Ok(Item::Event(_))));
    }
    store.log.restore(&backup);
    store.put(300, |_| "FlightDeparted").await;
    store.tail.add_permits(1);
    let log = log_of(&store).await;
    for events in follow_all(&hub, |_| Subscribe::new(), 2).await {
        assert_eq!(events, log);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_keeps_its_place_in_the_queue() {
    let store = Counting::with(1_000).await;
    let hub = store.hub().with_max_reads(2).start().await.unwrap();
    store.gate.forget_permits(Semaphore::MAX_PERMITS);
    let log = log_of(&store).await;
    let mut waiting = Vec::new();
    let places = [0, PAGE, 2 * PAGE, 3 * PAGE];
    for event in places.map(|place| &log[place]) {
        let subscribe = Subscribe::new().with_after(event.cursor());
        let mut subscription = hub.subscribe(subscribe).await.unwrap();
        // Like a transport that sends heartbeats meanwhile.
        for _ in 0..3 {
            assert!(timeout(Duration::from_secs(15), subscription.next()).await.is_err());
        }
        waiting.push(subscription);
    }
    assert_eq!(store.reads().0, 2, "two may read");
    store.gate.add_permits(1);
    // One after the other, in order of arrival.
    for (place, subscription) in places.into_iter().zip(&mut waiting) {
        assert_eq!(next(subscription).await.unwrap().cursor(), log[place + 1].cursor());
    }
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_read_keeps_its_turn_until_the_store_has_answered() {
    let store = Counting::with(1_000).await;
    let hub = store.hub().with_max_reads(2).start().await.unwrap();
    store.gate.forget_permits(Semaphore::MAX_PERMITS);
    for n in [1, 2, 2, 2] {
        let mut gone = hub.subscribe(Subscribe::new()).await.unwrap();
        assert!(timeout(Duration::from_secs(1), gone.next()).await.is_err());
        assert_eq!(store.reads().0, n, "the store works on two reads");
        drop(gone);
        tokio::task::yield_now().await;
    }
    store.gate.add_permits(1);
    assert_eq!(follow_all(&hub, |_| Subscribe::new(), 1).await[0].len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn replays_do_not_block_short_reads() {
    let store = Counting::with(3_000).await;
    let hub = store.hub().with_max_reads(4).with_page_cache(0).start().await.unwrap();
    let log = log_of(&store).await;
    let mut replays = Vec::new();
    for place in 0..8 {
        let after = log[place * PAGE].cursor();
        let mut replay = hub.subscribe(Subscribe::new().with_after(after)).await.unwrap();
        for _ in 0..5 * PAGE {
            next(&mut replay).await.unwrap();
        }
        replays.push(replay);
    }
    store.gate.forget_permits(Semaphore::MAX_PERMITS);
    let before = store.reads().0;
    for replay in &mut replays {
        // One page is there already.
        while timeout(Duration::from_secs(1), replay.next()).await.is_ok() {}
    }
    assert_eq!(store.reads().0, before + 3, "three of four permits are for replays");
    let mut little = hub.subscribe(Subscribe::new().with_after(log[2_900].cursor())).await.unwrap();
    assert!(timeout(Duration::from_secs(1), little.next()).await.is_err());
    assert_eq!(store.reads().0, before + 4, "the fourth is reserved for short reads");
}

fn any_filter() -> impl Strategy<Value = Filter> {
    prop_oneof![Just(Filter::everything()), Just(only("A")), Just(only("B")), Just(only("Never")),]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Every subscription receives exactly its matching events, whenever and
    /// wherever it begins.
    #[test]
    fn sharing_changes_nothing(
        types in prop::collection::vec(prop_oneof![9 => Just("A"), 1 => Just("B")], 1..400),
        followers in prop::collection::vec((0..400_usize, any_filter()), 1..12),
        ring in 0..50_usize,
        page in 1..40_usize,
        kept in prop_oneof![Just(0), Just(10_000), Just(usize::MAX)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Counting::new();
            let (before, during) = types.split_at(types.len() / 2);
            store.put(before.len(), |n| ["A", "B"][usize::from(before[n] == "B")]).await;
            let builder = store.hub().with_ring(ring, usize::MAX).with_page(page, usize::MAX);
            let hub = builder.with_page_cache(kept).start().await.unwrap();
            let follow = async |(begin, filter): &(usize, Filter)| {
                let log = log_of(&store).await;
                let begin = begin % (log.len() + 1);
                let after = begin.checked_sub(1).map_or(After::Start, |n| log[n].cursor().into());
                let subscribe = Subscribe::new().with_after(after).with_filter(filter.clone());
                let mut subscription = hub.subscribe(subscribe).await.unwrap();
                let mut events = Vec::new();
                let wanted = types[begin..].iter().filter(|event_type| {
                    let event = NewEvent::json(**event_type, "{}").unwrap();
                    filter.matches(&"flight-UA1545".try_into().unwrap(), &event)
                });
                let wanted = wanted.count();
                while events.len() < wanted {
                    if let Item::Event(event) = next(&mut subscription).await.unwrap() {
                        events.push(event);
                    }
                    tokio::task::yield_now().await;
                }
                (begin, filter.clone(), events)
            };
            let append = async {
                for event_type in during {
                    let event = NewEvent::json(*event_type, "{}").unwrap();
                    hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
                }
            };
            let (followed, ()) = futures::join!(join_all(followers.iter().map(follow)), append);
            let log = log_of(&store).await;
            for (begin, filter, events) in followed {
                let expected = log[begin..].iter().filter(|event| filter.matches_event(event));
                assert!(events.iter().eq(expected));
            }
        });
    }
}
