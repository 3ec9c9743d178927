use std::fmt;
use std::sync::Arc;

use downlink::{Bus, Cursor, Event, EventStore, Filter, Hint, Item, Position, Subscribe};

use super::{Feed, FeedFixture, Following, Hubs, Tuning};
use crate::faults::{FaultyStore, Lie, LyingBus};
use crate::{BusFixture, Guard, StoreFixture, tasks};

/// A store, a bus and what makes hubs of them.
pub struct Stage {
    store: Arc<dyn StoreFixture>,
    bus: Arc<dyn BusFixture>,
    feeds: Arc<dyn FeedFixture>,
    /// Whether the store tells the feeds what it commits.
    is_told: bool,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stage")
    }
}

impl Stage {
    /// Hubs over this store and this bus.
    #[must_use]
    pub fn new(store: impl StoreFixture, bus: impl BusFixture) -> Self {
        Self::with_feeds(store, bus, Hubs)
    }

    /// Feeds of another kind, such as broken ones.
    #[must_use]
    pub fn with_feeds(
        store: impl StoreFixture,
        bus: impl BusFixture,
        feeds: impl FeedFixture,
    ) -> Self {
        Self { store: Arc::new(store), bus: Arc::new(bus), feeds: Arc::new(feeds), is_told: false }
    }

    /// Feeds that are told by the store what it commits, instead of reading the
    /// log after each append.
    #[must_use]
    pub fn with_commits(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// A fresh store and a bus that lies so.
    pub(super) async fn open(&self, lie: Lie) -> Scene {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        self.scene(FaultyStore::new(store), guard, lie).await
    }

    /// As [`open`](Self::open), over a store that counts who holds its events.
    pub(super) async fn open_counting(&self) -> Scene {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        self.scene(FaultyStore::counting(store), guard, Lie::Honest).await
    }

    async fn scene(&self, store: FaultyStore, guard: Guard, lie: Lie) -> Scene {
        let bus = self.bus.open(&guard).await.expect("a bus");
        let bus = LyingBus::new(bus, lie);
        let store = if self.is_told { store.with_commits() } else { store };
        Scene::new((store, guard), bus, &self.feeds)
    }
}

/// One store and one bus, on which any number of feeds run.
pub(super) struct Scene {
    pub(super) store: FaultyStore,
    pub(super) bus: LyingBus,
    feeds: Arc<dyn FeedFixture>,
    _guard: Guard,
}

impl Scene {
    pub(super) fn new(
        (store, guard): (FaultyStore, Guard),
        bus: LyingBus,
        feeds: &Arc<dyn FeedFixture>,
    ) -> Self {
        Self { store, bus, feeds: Arc::clone(feeds), _guard: guard }
    }

    pub(super) async fn feed(&self, tuning: Tuning) -> Arc<dyn Feed> {
        self.feed_over(self.store.clone(), tuning).await
    }

    /// A feed in another process: what the others commit it hears of by the bus
    /// alone.
    pub(super) async fn feed_elsewhere(&self, tuning: Tuning) -> Arc<dyn Feed> {
        self.feed_over(self.store.elsewhere(), tuning).await
    }

    async fn feed_over(&self, store: FaultyStore, tuning: Tuning) -> Arc<dyn Feed> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let bus: Arc<dyn Bus> = Arc::new(self.bus.clone());
        self.feeds.start(store, bus, tuning).await.expect("a feed")
    }

    /// Returns when the tail of a feed waits before it reads, until
    /// [`before_tail_read`](FaultyStore::before_tail_read) is released: whatever is
    /// stored meanwhile it does not see.
    pub(super) async fn hold_the_tail(&self) {
        let gate = self.store.before_tail_read();
        gate.close();
        self.bus.raise(Hint::anything());
        tasks::soon(
            "a hint that claims no position makes no tail read the log",
            gate.somebody_waits(),
        )
        .await;
    }

    /// What the log has, whatever faults the store has.
    pub(super) async fn log(&self) -> Vec<Event> {
        crate::sample::log(&**self.store.inner()).await
    }
}

/// A subscriber who notes everything and believes nothing.
pub(super) struct Follower {
    following: Box<dyn Following>,
    filter: Filter,
    after: Position,
    pub(super) seen: Vec<Event>,
    /// The cursor of each item, and how many events had been delivered then.
    cursors: Vec<(Cursor, usize)>,
    pub(super) lives: usize,
    pub(super) behinds: usize,
}

impl Follower {
    /// From the start, everything.
    pub(super) async fn from_start(feed: &Arc<dyn Feed>) -> Self {
        Self::begin(feed, Cursor::START, Filter::everything()).await
    }

    pub(super) async fn begin(feed: &Arc<dyn Feed>, after: Cursor, filter: Filter) -> Self {
        let subscribe = Subscribe::new().after(after).filter(filter.clone());
        let following = tasks::soon("subscribing takes for ever", feed.subscribe(subscribe)).await;
        let following = following.expect("a subscription from a place of this log");
        Self::new(following, after.position(), filter)
    }

    pub(super) fn new(following: Box<dyn Following>, after: Position, filter: Filter) -> Self {
        let (seen, cursors) = (Vec::new(), Vec::new());
        Self { following, filter, after, seen, cursors, lives: 0, behinds: 0 }
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.following.cursor()
    }

    pub(super) fn following(&mut self) -> &mut dyn Following {
        &mut *self.following
    }

    /// The next item, or a panic that says `what` did not come.
    pub(super) async fn next(&mut self, what: &str) -> Item {
        let item = tasks::soon(what, self.following.next()).await;
        let item = match item {
            Some(Ok(item)) => item,
            Some(Err(error)) => panic!("a subscription failed with `{error}`; {what}"),
            None => panic!("a subscription ended by itself; {what}"),
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
            self.following.cursor(),
            item.cursor(),
            "the cursor of a subscription is that of the item that it has just handed over"
        );
        self.cursors.push((item.cursor(), self.seen.len()));
    }

    /// Takes items until the subscription says that it is live.
    pub(super) async fn until_live(&mut self) {
        let before = self.lives;
        while self.lives == before {
            self.next("`Live` did not come").await;
        }
    }

    /// Takes items until there were so many events.
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
            "after {common} events a subscription left one out or delivered one that is not in the \
             log: {:?} came instead of {:?}",
            self.seen[common],
            wanted.get(common)
        );
        for (cursor, delivered) in &self.cursors {
            let below = wanted.partition_point(|event| event.position() <= cursor.position());
            assert!(
                below <= *delivered,
                "an item had the cursor {cursor} when {delivered} of the {below} events up to it \
                 had been delivered: whoever resumes there misses the others"
            );
        }
    }
}
