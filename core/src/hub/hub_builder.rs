use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::shared::{Shared, Tuning};
use super::{Hub, publisher, tail};
use crate::bus::Bus;
use crate::error::Result;
use crate::limits::MAX_WAIT;
use crate::store::EventStore;

/// Sets a [`Hub`] up and starts it.
#[derive(Debug)]
#[must_use]
pub struct HubBuilder {
    store: Arc<dyn EventStore>,
    bus: Arc<dyn Bus>,
    tuning: Tuning,
}

impl HubBuilder {
    pub(super) fn new(store: Arc<dyn EventStore>, bus: Arc<dyn Bus>) -> Self {
        let tuning = Tuning {
            poll_interval: Duration::from_secs(1),
            ring_events: 16_384,
            ring_bytes: 64 << 20,
            page_events: 256,
            page_bytes: 64 << 10,
            page_reads: 4,
            kept_bytes: 16 << 20,
            checkpoint_events: 1_000,
            checkpoint_interval: Duration::from_secs(10),
            publish_deadline: Duration::from_secs(5),
        };
        Self { store, bus, tuning }
    }

    /// How long the tail waits for a hint before it looks by itself: one
    /// second by default, a millisecond at least and a day at most. The longest
    /// delay that a silent bus can cause.
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.tuning.poll_interval = interval.clamp(Duration::from_millis(1), MAX_WAIT);
        self
    }

    /// The newest events that are kept in memory, in count and in bytes: 16,384
    /// and 64 MiB by default. Subscribers within them never touch the store.
    pub fn with_ring(mut self, events: usize, bytes: usize) -> Self {
        (self.tuning.ring_events, self.tuning.ring_bytes) = (events, bytes);
        self
    }

    /// What a subscription that is behind reads at a time, in count and in
    /// bytes as stored: 256 events and 64 KiB by default, and always one event. A
    /// subscriber that stands still holds no more than that, and what it took of
    /// it: 64 events and 128 KiB with their rendering.
    ///
    /// A page is read and rendered once for all who want it at the same time,
    /// also if they begin at other places in it, and once for those who come later
    /// while it is [kept](Self::with_kept_pages).
    pub fn with_page(mut self, events: usize, bytes: usize) -> Self {
        (self.tuning.page_events, self.tuning.page_bytes) = (events.max(1), bytes);
        self
    }

    /// How many of these pages are read from the store at a time: 4 by default,
    /// 2 at least. Who comes next waits for a turn, in order; a quarter is kept
    /// for subscriptions that have read little so far, as after a reconnect, so
    /// that they do not wait behind replays.
    pub fn with_page_reads(mut self, at_a_time: usize) -> Self {
        self.tuning.page_reads = at_a_time;
        self
    }

    /// The memory for pages that somebody else may want soon, in bytes: 16 MiB
    /// by default. With 0 a page is shared only while it is read.
    pub fn with_kept_pages(mut self, bytes: usize) -> Self {
        self.tuning.kept_bytes = bytes;
        self
    }

    /// When a subscription to which nothing matched tells how far it looked:
    /// after 1,000 events or 10 seconds by default, one event and a millisecond at
    /// least and a day at most.
    pub fn with_checkpoint(mut self, events: usize, interval: Duration) -> Self {
        (self.tuning.checkpoint_events, self.tuning.checkpoint_interval) =
            (events.max(1), interval.clamp(Duration::from_millis(1), MAX_WAIT));
        self
    }

    /// How long the bus may take to accept a hint: five seconds by default, a day
    /// at most.
    pub fn with_publish_deadline(mut self, deadline: Duration) -> Self {
        self.tuning.publish_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// Reads the head of the log and starts the hub's two tasks: the tail and
    /// the publisher.
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
        // Before the head is read, so that nothing falls between.
        let commits = self.store.commits();
        let head = self.store.head().await?;
        let is_told = commits.is_some();
        let shared = Arc::new(Shared::new(self.store, self.tuning, head, is_told));
        let tasks = TaskTracker::new();
        tasks.spawn(tail::run(Arc::clone(&shared), Arc::clone(&self.bus), commits));
        tasks.spawn(publisher::run(Arc::clone(&shared), self.bus));
        Ok(Hub::new(shared, tasks))
    }
}
