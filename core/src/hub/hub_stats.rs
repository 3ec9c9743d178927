use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Statistics of a hub since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Hints that the bus refused or did not accept in time.
    pub failed_publications: u64,
    /// How often listening to the bus failed or ended.
    pub failed_listens: u64,
    /// Reads of the tail: one for each poll, and those for events that the
    /// store did not report.
    pub tail_reads: u64,
    /// Reads of the tail, and of subscriptions, that failed.
    pub failed_reads: u64,
    /// How often the log was found to be replaced.
    pub changed_histories: u64,
    /// How often a subscription fell behind the events in memory.
    pub fallen_behind: u64,
    /// Pages read from the store for subscriptions.
    pub page_reads: u64,
    /// Pages that a subscription received without a read of its own.
    pub shared_pages: u64,
    /// Subscriptions that are currently open.
    pub open_subscriptions: u64,
    /// How far the system's clock was behind the log when this process recorded
    /// its last event: see [`Event::recorded_at`](crate::Event::recorded_at).
    /// Zero if the store does not report its commits.
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
    /// Counts a failed read of the tail.
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

/// Increments a counter.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
