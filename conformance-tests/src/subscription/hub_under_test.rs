use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::store::Appended;
use downlink::{Append, Bus, Cursor, EventStore, Hub, Item, Result, Subscribe, Subscription};

/// What the laws of subscriptions need of a hub, so that they can test broken
/// ones, too.
#[async_trait]
pub trait HubUnderTest: Send + Sync {
    /// Appends, and wakes subscribers.
    async fn append(&self, append: Append) -> Result<Appended>;

    /// Subscribes.
    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn SubscriptionUnderTest>>;

    /// How many hints the bus did not accept.
    fn failed_publications(&self) -> u64;
}

/// One subscription of a [`HubUnderTest`].
#[async_trait]
pub trait SubscriptionUnderTest: Send {
    /// Waits for the next item; `None` at the end. May be dropped at any await.
    async fn next(&mut self) -> Option<Result<Item>>;

    /// The cursor to resume from.
    fn cursor(&self) -> Cursor;
}

/// Starts hubs.
#[async_trait]
pub trait HubFixture: Send + Sync + 'static {
    /// Starts a hub over this store and this bus.
    async fn start(
        &self,
        store: Arc<dyn EventStore>,
        bus: Arc<dyn Bus>,
        options: HubOptions,
    ) -> Result<Arc<dyn HubUnderTest>>;
}

/// Options of a hub; laws set small values, so that nothing takes long.
#[derive(Clone, Copy, Debug)]
pub struct HubOptions {
    /// How long it waits for a hint before it reads the log on its own.
    pub poll_interval: Duration,
    /// How many events it keeps in memory.
    pub ring: usize,
    /// How many events it reads at a time.
    pub page: usize,
    /// After how many events without a match it delivers a checkpoint while it catches
    /// up.
    pub checkpoint: usize,
    /// How often it delivers a checkpoint while it is live and nothing matches.
    pub checkpoint_interval: Duration,
    /// How long the bus may take to accept a hint.
    pub publish_deadline: Duration,
    /// Whether it keeps pages that subscriptions have read for later ones.
    pub keeps_pages: bool,
}

impl HubOptions {
    /// So long that no law waits for it: whatever arrives did not arrive by
    /// polling.
    pub const NEVER: Duration = Duration::from_hours(24);

    /// A short poll interval, and a ring and pages of a few events.
    #[must_use]
    pub fn small() -> Self {
        Self {
            poll_interval: Duration::from_millis(10),
            ring: 64,
            page: 8,
            checkpoint: 1_000,
            checkpoint_interval: Self::NEVER,
            publish_deadline: Duration::from_millis(50),
            // Laws depend on reads reaching the store, and on what is held in memory.
            keeps_pages: false,
        }
    }

    /// As [`small`](Self::small), and the hub never reads without a hint.
    #[must_use]
    pub fn without_polling() -> Self {
        Self { poll_interval: Self::NEVER, publish_deadline: Self::NEVER, ..Self::small() }
    }
}

/// The hubs of this workspace.
#[derive(Clone, Copy, Debug)]
pub struct DownlinkHubs;

#[async_trait]
impl HubFixture for DownlinkHubs {
    async fn start(
        &self,
        store: Arc<dyn EventStore>,
        bus: Arc<dyn Bus>,
        options: HubOptions,
    ) -> Result<Arc<dyn HubUnderTest>> {
        let hub = Hub::builder(store, bus)
            .with_poll_interval(options.poll_interval)
            .with_ring(options.ring, usize::MAX)
            .with_page(options.page, 64 << 10)
            .with_page_cache(if options.keeps_pages { 16 << 20 } else { 0 })
            .with_checkpoint(options.checkpoint, options.checkpoint_interval)
            .with_publish_deadline(options.publish_deadline)
            .start()
            .await?;
        Ok(Arc::new(hub))
    }
}

#[async_trait]
impl HubUnderTest for Hub {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.append(append).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn SubscriptionUnderTest>> {
        Ok(Box::new(Self::subscribe(self, subscribe).await?))
    }

    fn failed_publications(&self) -> u64 {
        self.stats().failed_publications
    }
}

#[async_trait]
impl SubscriptionUnderTest for Subscription {
    async fn next(&mut self) -> Option<Result<Item>> {
        Self::next(self).await
    }

    fn cursor(&self) -> Cursor {
        Self::cursor(self)
    }
}

impl fmt::Debug for dyn HubUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubUnderTest")
    }
}
