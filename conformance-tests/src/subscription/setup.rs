use std::fmt;
use std::sync::Arc;

use downlink::bus::Hint;
use downlink::{Bus, Cursor, Event, EventStore, Filter, Item, Position, Subscribe};

use super::{DownlinkHubs, HubFixture, HubOptions, HubUnderTest, SubscriptionUnderTest};
use crate::faults::{BusFault, FaultyBus, FaultyStore};
use crate::fixture::{BusFixture, Guard, StoreFixture};
use crate::tasks;

/// A store, a bus, and hubs over them.
pub struct SubscriptionSetup {
    store: Arc<dyn StoreFixture>,
    bus: Arc<dyn BusFixture>,
    hubs: Arc<dyn HubFixture>,
    /// Whether hubs get the commit notices of the store.
    is_told: bool,
}

impl fmt::Debug for SubscriptionSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubscriptionSetup")
    }
}

impl SubscriptionSetup {
    /// Tests hubs of this workspace over this store and this bus.
    #[must_use]
    pub fn new(store: impl StoreFixture, bus: impl BusFixture) -> Self {
        Self::with_hubs(store, bus, DownlinkHubs)
    }

    /// Tests other hubs, such as broken ones.
    #[must_use]
    pub fn with_hubs(
        store: impl StoreFixture,
        bus: impl BusFixture,
        hubs: impl HubFixture,
    ) -> Self {
        Self { store: Arc::new(store), bus: Arc::new(bus), hubs: Arc::new(hubs), is_told: false }
    }

    /// Lets hubs take the commit notices of the store, instead of reading the
    /// log after each append.
    #[must_use]
    pub fn with_commits(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// Opens a fresh store and a bus with this fault.
    pub(super) async fn open(&self, fault: BusFault) -> Environment {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        self.env(FaultyStore::new(store), guard, fault).await
    }

    /// As [`open`](Self::open), over a store that counts how many of its events
    /// are still held.
    pub(super) async fn open_counting(&self) -> Environment {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        self.env(FaultyStore::counting(store), guard, BusFault::None).await
    }

    async fn env(&self, store: FaultyStore, guard: Guard, fault: BusFault) -> Environment {
        let bus = self.bus.open(&guard).await.expect("a bus");
        let bus = FaultyBus::new(bus, fault);
        let store = if self.is_told { store.with_commits() } else { store };
        Environment::new((store, guard), bus, &self.hubs)
    }
}

/// One store and one bus, on which any number of hubs run.
pub(super) struct Environment {
    pub(super) store: FaultyStore,
    pub(super) bus: FaultyBus,
    hubs: Arc<dyn HubFixture>,
    _guard: Guard,
}

impl Environment {
    pub(super) fn new(
        (store, guard): (FaultyStore, Guard),
        bus: FaultyBus,
        hubs: &Arc<dyn HubFixture>,
    ) -> Self {
        Self { store, bus, hubs: Arc::clone(hubs), _guard: guard }
    }

    pub(super) async fn hub(&self, options: HubOptions) -> Arc<dyn HubUnderTest> {
        self.hub_over(self.store.clone(), options).await
    }

    /// A hub in another process: it learns of other commits only through the
    /// bus.
    pub(super) async fn hub_in_another_process(
        &self,
        options: HubOptions,
    ) -> Arc<dyn HubUnderTest> {
        self.hub_over(self.store.in_another_process(), options).await
    }

    async fn hub_over(&self, store: FaultyStore, options: HubOptions) -> Arc<dyn HubUnderTest> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let bus: Arc<dyn Bus> = Arc::new(self.bus.clone());
        self.hubs.start(store, bus, options).await.expect("a hub")
    }

    /// Makes the tail of a hub wait before its next read, until
    /// [`before_tail_read`](FaultyStore::before_tail_read) is released: it does
    /// not see what is stored in the meantime.
    pub(super) async fn hold_the_tail(&self) {
        let gate = self.store.before_tail_read();
        gate.close();
        self.bus.inject(Hint::anything());
        tasks::soon(
            "a hint without a position did not make the tail read the log",
            gate.until_waiting(),
        )
        .await;
    }

    /// The log, read without the faults of the store.
    pub(super) async fn log(&self) -> Vec<Event> {
        crate::sample::log(&**self.store.inner()).await
    }
}

/// A subscriber that records every item and checks all of them.
pub(super) struct Follower {
    subscription: Box<dyn SubscriptionUnderTest>,
    filter: Filter,
    after: Position,
    pub(super) seen: Vec<Event>,
    /// The cursor of each item, and how many events had been delivered then.
    cursors: Vec<(Cursor, usize)>,
    pub(super) lives: usize,
    pub(super) behinds: usize,
}

impl Follower {
    /// Subscribes to everything, from the start.
    pub(super) async fn from_start(hub: &Arc<dyn HubUnderTest>) -> Self {
        Self::begin(hub, Cursor::START, Filter::everything()).await
    }

    pub(super) async fn begin(hub: &Arc<dyn HubUnderTest>, after: Cursor, filter: Filter) -> Self {
        let subscribe = Subscribe::new().with_after(after).with_filter(filter.clone());
        let subscription =
            tasks::soon("subscribing does not return", hub.subscribe(subscribe)).await;
        let subscription = subscription.expect("a subscription from a cursor of this log");
        Self::new(subscription, after.position(), filter)
    }

    pub(super) fn new(
        subscription: Box<dyn SubscriptionUnderTest>,
        after: Position,
        filter: Filter,
    ) -> Self {
        let (seen, cursors) = (Vec::new(), Vec::new());
        Self { subscription, filter, after, seen, cursors, lives: 0, behinds: 0 }
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.subscription.cursor()
    }

    pub(super) fn subscription(&mut self) -> &mut dyn SubscriptionUnderTest {
        &mut *self.subscription
    }

    /// The next item; panics with `what` if none comes.
    pub(super) async fn next(&mut self, what: &str) -> Item {
        let item = tasks::soon(what, self.subscription.next()).await;
        let item = match item {
            Some(Ok(item)) => item,
            Some(Err(error)) => panic!("a subscription failed with `{error}`: {what}"),
            None => panic!("a subscription ended by itself: {what}"),
        };
        self.note(&item);
        item
    }

    pub(super) fn note(&mut self, item: &Item) {
        let place = self.seen.last().map_or(self.after, Event::position);
        match item {
            Item::Event(event) => {
                assert!(
                    event.position() > place,
                    "an event came twice or out of order: {} after {place}",
                    event.position()
                );
                self.seen.push(event.clone());
            }
            Item::Live { .. } => self.lives += 1,
            Item::Behind { .. } => self.behinds += 1,
            _ => {}
        }
        assert!(
            item.cursor().position() >= place,
            "the cursor of an item goes back from {place} to {}",
            item.cursor().position()
        );
        assert_eq!(
            self.subscription.cursor(),
            item.cursor(),
            "the cursor of a subscription has to be that of the item it returned last"
        );
        self.cursors.push((item.cursor(), self.seen.len()));
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Takes items until `Live` comes.
    pub(super) async fn until_live(&mut self) {
        let before = self.lives;
        while self.lives == before {
            self.next("`Live` did not come").await;
        }
    }

    /// Takes items until this many events came.
    pub(super) async fn until(&mut self, events: usize, what: &str) {
        while self.seen.len() < events {
            let had = self.seen.len();
            let what = format!("{what} ({had} of {events} events came)");
            self.next(&what).await;
        }
    }

    /// Takes items until all events of the log came, and compares them.
    pub(super) async fn until_all_of(&mut self, log: &[Event], what: &str) {
        let wanted = self.wanted(log).len();
        self.until(wanted, what).await;
        self.verify(log);
    }

    fn wanted(&self, log: &[Event]) -> Vec<Event> {
        let after = |event: &&Event| event.position() > self.after;
        let wanted = log.iter().filter(after).filter(|event| self.filter.matches_event(event));
        wanted.cloned().collect()
    }

    /// Compares everything that came with the log.
    pub(super) fn verify(&self, log: &[Event]) {
        let wanted = self.wanted(log);
        let common = self.seen.iter().zip(&wanted).take_while(|(seen, wanted)| seen == wanted);
        let common = common.count();
        assert!(
            common == self.seen.len(),
            "after {common} events a subscription skipped one or delivered one that is not in the \
             log: {:?} came instead of {:?}",
            self.seen[common],
            wanted.get(common)
        );
        for (cursor, delivered) in &self.cursors {
            let below = wanted.partition_point(|event| event.position() <= cursor.position());
            assert!(
                below <= *delivered,
                "an item had the cursor {cursor} when {delivered} of the {below} events up to it \
                 had been delivered: a client that resumes there misses the others"
            );
        }
    }
}
