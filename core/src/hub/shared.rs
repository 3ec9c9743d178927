use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Retries;
use super::pages::Pages;
use super::ring::{Ring, Window};
use super::stats::{Counters, count};
use crate::{Cursor, Error, ErrorKind, EventStore, Result};

/// What the hub's tasks and subscriptions share. None of them holds the hub
/// itself, so that dropping its last handle ends them.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) tuning: Tuning,
    pub(super) counters: Counters,
    /// Cancelled when the hub is shut down.
    pub(super) stop: CancellationToken,
    /// Wakes the tail.
    pub(super) nudge: Notify,
    /// Wakes the publisher.
    pub(super) publish: Notify,
    /// Wakes subscriptions; written after the ring.
    pub(super) progress: watch::Sender<Progress>,
    pub(super) pages: Pages,
    ring: RwLock<Ring>,
}

/// How far the tail has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) tip: Cursor,
    /// Counts how often the log was found to be another one.
    pub(super) history: u64,
    /// Whether the hub was shut down.
    pub(super) stopped: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) fallback: Duration,
    pub(super) ring_events: usize,
    pub(super) ring_bytes: usize,
    pub(super) page_events: usize,
    pub(super) page_bytes: usize,
    pub(super) page_reads: usize,
    pub(super) kept_bytes: usize,
    pub(super) checkpoint_events: usize,
    pub(super) checkpoint_interval: Duration,
    pub(super) publish_deadline: Duration,
}

impl Shared {
    pub(super) fn new(store: Arc<dyn EventStore>, tuning: Tuning, head: Cursor) -> Self {
        Self {
            store,
            tuning,
            counters: Counters::default(),
            stop: CancellationToken::new(),
            nudge: Notify::new(),
            publish: Notify::new(),
            progress: watch::Sender::new(Progress { tip: head, history: 0, stopped: false }),
            pages: Pages::new(tuning.page_reads, tuning.kept_bytes),
            ring: RwLock::new(Ring::new(head, tuning.ring_events, tuning.ring_bytes)),
        }
    }

    pub(super) fn window(&self, after: Cursor, max: usize) -> Window {
        // Whatever panicked, the ring is whole: its changes do not call foreign code.
        self.ring.read().unwrap_or_else(PoisonError::into_inner).after(after, max)
    }

    /// Whether the newest events vouch for this cursor.
    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).holds(cursor)
    }

    pub(super) fn tip(&self) -> Cursor {
        self.progress.borrow().tip
    }

    /// Puts what comes next into the ring and wakes every subscription.
    pub(super) fn extend(&self, events: Vec<crate::Event>) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            ring.push(event);
        }
        let tip = ring.tip();
        drop(ring);
        self.progress.send_modify(|progress| progress.tip = tip);
    }

    /// Repeats a read that fails for a passing reason, until the hub stops.
    pub(super) async fn until_it_works<T, F>(&self, mut read: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut retries = Retries::up_to(self.tuning.fallback);
        loop {
            let Some(outcome) = self.stop.run_until_cancelled(read()).await else {
                return Err(Error::new(ErrorKind::Unavailable, "the hub was shut down"));
            };
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = retries.after(&error) else { return Err(error) };
            count(&self.counters.failed_reads);
            warn!(%error, "a subscription could not read the log; it tries again");
            self.stop.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Begins again at `head`, in another history.
    pub(super) fn begin_again(&self, head: Cursor) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).reset(head);
        self.progress.send_modify(|progress| {
            progress.tip = head;
            progress.history += 1;
            // Before anybody sees the new history, so that nobody in it is served from the old one.
            self.pages.forget();
        });
    }
}
