use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::shared::{Shared, Tuning};
use super::{Hub, checkpoint_ticks, publisher, tail};
use crate::bus::Bus;
use crate::error::Result;
use crate::limits::MAX_WAIT;
use crate::store::{EventStore, ImportStore};

/// Configures and starts a [`Hub`].
#[derive(Debug)]
#[must_use]
pub struct HubBuilder {
    store: Arc<dyn EventStore>,
    bus: Arc<dyn Bus>,
    moved: Option<Arc<dyn ImportStore>>,
    tuning: Tuning,
}

impl HubBuilder {
    pub(super) fn new(store: Arc<dyn EventStore>, bus: Arc<dyn Bus>) -> Self {
        let tuning = Tuning {
            poll_interval: Duration::from_secs(1),
            ring_events: 16_384,
            ring_bytes: 64 << 20,
            page_events: 512,
            page_bytes: 128 << 10,
            page_reads: 4,
            kept_bytes: 16 << 20,
            checkpoint_events: 1_000,
            checkpoint_interval: Duration::from_secs(10),
            publish_deadline: Duration::from_secs(5),
        };
        Self { store, bus, moved: None, tuning }
    }

    /// Sets how long the tail waits for a hint before it polls the log: one
    /// second by default, at least one millisecond and at most one day. This is
    /// the longest delay that lost hints can cause.
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.tuning.poll_interval = interval.clamp(Duration::from_millis(1), MAX_WAIT);
        self
    }

    /// Sets how many of the newest events are kept in memory, in count and in
    /// bytes: 16,384 events and 64 MiB by default. Subscriptions within them
    /// never read the store.
    pub fn with_ring(mut self, events: usize, bytes: usize) -> Self {
        (self.tuning.ring_events, self.tuning.ring_bytes) = (events, bytes);
        self
    }

    /// Sets the size of the pages that subscriptions read from the store while
    /// they are behind, in count and in stored bytes: 512 events and 128 KiB by
    /// default, but always at least one event. An idle subscription holds at
    /// most one page, and up to 64 events (48 KiB, including their rendered
    /// form) taken from it; [`Subscribe::with_budget`](crate::Subscribe::with_budget)
    /// limits the pages of all.
    ///
    /// A page is read and rendered once for all subscriptions that need it at
    /// the same time, even if they begin at different places in it, and for
    /// later ones while it is [kept](Self::with_page_cache).
    pub fn with_page(mut self, events: usize, bytes: usize) -> Self {
        (self.tuning.page_events, self.tuning.page_bytes) = (events.max(1), bytes);
        self
    }

    /// Sets how many reads of the store run concurrently for subscriptions and for
    /// [`read_log`](Hub::read_log) and [`read_stream`](Hub::read_stream): 4 by
    /// default, at least 2. Further reads wait in order. A quarter of the reads
    /// is reserved for short ones: of subscriptions that have read little so far,
    /// such as after a reconnect, and near the end of the log. So they do not wait
    /// behind replays and searches. Live delivery does not wait for any of them.
    pub fn with_max_reads(mut self, at_a_time: usize) -> Self {
        self.tuning.page_reads = at_a_time;
        self
    }

    /// Sets the memory for pages that are kept for other subscriptions, in
    /// bytes: 16 MiB by default. With 0, a page is shared only while it is
    /// being read.
    pub fn with_page_cache(mut self, bytes: usize) -> Self {
        self.tuning.kept_bytes = bytes;
        self
    }

    /// Sets when a subscription yields a checkpoint while nothing matches: when it is
    /// catching up after 1,000 events or 10 seconds by default, and when it is live
    /// every 10 seconds. At least one event, and between one millisecond and one day.
    pub fn with_checkpoint(mut self, events: usize, interval: Duration) -> Self {
        (self.tuning.checkpoint_events, self.tuning.checkpoint_interval) =
            (events.max(1), interval.clamp(Duration::from_millis(1), MAX_WAIT));
        self
    }

    /// Sets how long the bus may take to accept a hint or a listener: five
    /// seconds by default, at most one day.
    pub fn with_publish_deadline(mut self, deadline: Duration) -> Self {
        self.tuning.publish_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// Translates cursors of other logs whose events were moved into this one, where
    /// they have other positions. `store` is the store of this hub. Off by default: a
    /// cursor of another log is refused.
    ///
    /// A cursor is looked up only when it does not belong to this log, and translated if
    /// the event from which it was made is where it was moved to. A subscription with it
    /// begins after that event, and continues with cursors of this log. It is refused as
    /// before if the subscription would skip events that match its filter: those which
    /// this log had before, and which followers of the other log have never seen.
    pub fn with_moved_cursors(mut self, store: Arc<dyn ImportStore>) -> Self {
        self.moved = Some(store);
        self
    }

    /// Reads the head of the log and starts the hub's tasks: the tail, the publisher
    /// of hints, and the timer of checkpoints.
    ///
    /// # Errors
    ///
    /// As [`EventStore::head`].
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing runs until this has returned.
    pub async fn start(self) -> Result<Hub> {
        // Before the head is read, so that no commit is missed in between.
        let commits = self.store.commits();
        let head = self.store.head().await?;
        let reports_commits = commits.is_some();
        let mut shared = Shared::new(self.store, self.tuning, head, reports_commits);
        shared.moved = self.moved;
        let shared = Arc::new(shared);
        let tasks = TaskTracker::new();
        tasks.spawn(tail::run(Arc::clone(&shared), Arc::clone(&self.bus), commits));
        tasks.spawn(publisher::run(Arc::clone(&shared), self.bus));
        tasks.spawn(checkpoint_ticks::run(Arc::clone(&shared)));
        Ok(Hub::new(shared, tasks))
    }
}
