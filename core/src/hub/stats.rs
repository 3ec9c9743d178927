use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What happened in a hub since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Hints that the bus did not take, in time or at all.
    pub failed_publications: u64,
    /// Times that listening to the bus failed or ended.
    pub failed_listens: u64,
    /// Reads of the tail: one for each poll, and for what it was not told by
    /// the store.
    pub tail_reads: u64,
    /// Reads of the tail that failed.
    pub failed_reads: u64,
    /// Times that the log was found to be another one.
    pub changed_histories: u64,
    /// Times that a subscription fell out of the ring.
    pub fallen_behind: u64,
    /// Pages that were read from the store for subscriptions.
    pub page_reads: u64,
    /// Pages that a subscription got without a read of its own.
    pub shared_pages: u64,
    /// Subscriptions that are open now.
    pub open_subscriptions: u64,
    /// How far the system's clock was behind the log when this process recorded
    /// its last event: see [`Event::recorded_at`](crate::Event::recorded_at). Zero
    /// if the store does not tell.
    pub clock_behind: Duration,
}

/// The counters behind [`HubStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) failed_publications: AtomicU64,
    pub(super) failed_listens: AtomicU64,
    pub(super) tail_reads: AtomicU64,
    pub(super) failed_reads: AtomicU64,
    pub(super) changed_histories: AtomicU64,
    pub(super) fallen_behind: AtomicU64,
    pub(super) page_reads: AtomicU64,
    pub(super) shared_pages: AtomicU64,
    pub(super) open_subscriptions: AtomicU64,
    /// Whether the last read of the tail failed.
    pub(super) tail_fails: AtomicBool,
}

impl Counters {
    /// A read of the tail failed.
    pub(super) fn failed_read(&self) {
        count(&self.failed_reads);
        self.tail_fails.store(true, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> HubStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HubStats {
            failed_publications: read(&self.failed_publications),
            failed_listens: read(&self.failed_listens),
            tail_reads: read(&self.tail_reads),
            failed_reads: read(&self.failed_reads),
            changed_histories: read(&self.changed_histories),
            fallen_behind: read(&self.fallen_behind),
            page_reads: read(&self.page_reads),
            shared_pages: read(&self.shared_pages),
            open_subscriptions: read(&self.open_subscriptions),
            clock_behind: Duration::ZERO,
        }
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
