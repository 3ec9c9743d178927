use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::begun::detached;
use super::bounds::Bounds;
use super::fan_out::FanOut;
use super::hub_stats::{Counters, count};
use super::page_cache::PageCache;
use super::pending_hint::PendingHint;
use super::read_limiter::{Priority, ReadLimiter, ReadPermit};
use super::ring::{Ring, Window};
use crate::backoff::Backoff;
use crate::commit::Commit;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::Position;
use crate::store::{Direction, EventStore, ImportStore, Mark, Page, ReadLog, ReadStream};

/// The state that the hub's tasks and subscriptions share. None of them holds
/// the hub itself, so that dropping its last handle ends them.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn EventStore>,
    /// The same store, if cursors of logs that were moved into it are translated.
    pub(super) moved: Option<Arc<dyn ImportStore>>,
    /// Whether the store reports its commits.
    pub(super) reports_commits: bool,
    pub(super) tuning: Tuning,
    pub(super) counters: Counters,
    /// Cancelled when the hub is shut down.
    pub(super) stop: CancellationToken,
    /// Wakes the tail.
    pub(super) wake_tail: Notify,
    /// The next hint that the publisher sends to the bus.
    pub(super) pending_hint: PendingHint,
    /// Changes when the bus hints at something, which may be a step of a read model.
    pub(super) hints: watch::Sender<()>,
    /// The appends in progress.
    pub(super) appends: TaskTracker,
    /// Cancelled after the stop, when no further hint will be added.
    pub(super) hints_complete: CancellationToken,
    /// Wakes subscriptions; updated after the ring.
    pub(super) fan_out: FanOut,
    pub(super) pages: PageCache,
    /// The turns at the store, for everything that is read for others.
    pub(super) reads: ReadLimiter,
    ring: RwLock<Ring>,
    /// How far the tail has got: updated after the subscriptions that have to know were
    /// woken.
    tip: Mutex<Cursor>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) poll_interval: Duration,
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
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        tuning: Tuning,
        head: Cursor,
        reports_commits: bool,
    ) -> Self {
        Self {
            store,
            moved: None,
            reports_commits,
            tuning,
            counters: Counters::default(),
            stop: CancellationToken::new(),
            wake_tail: Notify::new(),
            pending_hint: PendingHint::default(),
            hints: watch::Sender::default(),
            appends: TaskTracker::new(),
            hints_complete: CancellationToken::new(),
            fan_out: FanOut::new(head),
            pages: PageCache::new(tuning.kept_bytes),
            reads: ReadLimiter::new(tuning.page_reads),
            ring: RwLock::new(Ring::new(head, tuning.ring_events, tuning.ring_bytes)),
            tip: Mutex::new(head),
        }
    }

    pub(super) fn window(&self, after: Cursor, bounds: Bounds) -> Window {
        // A poisoned lock is harmless: changes of the ring call no foreign code, so it is always
        // consistent.
        self.ring.read().unwrap_or_else(PoisonError::into_inner).after(after, bounds)
    }

    /// Whether this cursor is among the newest events.
    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).holds(cursor)
    }

    pub(super) fn tip(&self) -> Cursor {
        *self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events that were read after the tip to the ring, and wakes subscriptions.
    pub(super) fn extend(&self, events: Vec<Event>) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            ring.push(event);
        }
        drop(ring);
        self.announce();
    }

    /// Adds a commit to the ring if it follows the tip exactly. Subscriptions are woken
    /// by [`announce`](Self::announce). Returns `false` if the log has to be read
    /// instead.
    pub(super) fn add_commit(&self, commit: &Commit) -> bool {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).add_commit(commit)
    }

    /// Wakes the subscriptions that events of the ring may concern which are not
    /// announced yet.
    pub(super) fn announce(&self) {
        // Only the tail writes to the ring, so its lock delays no one.
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let (from, tip) = (self.tip(), ring.tip());
        if from == tip {
            return;
        }
        match ring.events_after(from) {
            Some(events) => self.fan_out.push(&events, tip),
            None => self.fan_out.skip_to(tip),
        }
        drop(ring);
        self.set_tip(tip);
    }

    fn set_tip(&self, tip: Cursor) {
        *self.tip.lock().unwrap_or_else(PoisonError::into_inner) = tip;
    }

    /// Reads a page of the log when it is its turn. A read that begins near the end
    /// of the log is a short one, and one without events is none.
    pub(super) async fn read_log(&self, read: ReadLog) -> Result<Page> {
        if read.limit() == 0 {
            return self.store.read_log(read).await;
        }
        let near = u64::try_from(self.tuning.page_events).unwrap_or(u64::MAX);
        let end = self.tip().position().get();
        let is_near = |position: Position| end.saturating_sub(position.get()) <= near;
        let from = read.after().map_or(Position::ZERO, Mark::position);
        let is_short = read.direction() == Direction::Forward && is_near(from);
        let priority = if is_short { Priority::High } else { Priority::Low };
        let turn = self.reads.acquire(priority).await;
        self.read_log_in(turn, read).await
    }

    /// Reads a page of a stream when it is its turn.
    pub(super) async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        let turn = self.reads.acquire(Priority::Low).await;
        let store = Arc::clone(&self.store);
        with_turn(turn, async move { store.read_stream(read).await }).await
    }

    /// Reads a page of the log in this turn.
    pub(super) async fn read_log_in(&self, turn: ReadPermit, read: ReadLog) -> Result<Page> {
        let store = Arc::clone(&self.store);
        with_turn(turn, async move { store.read_log(read).await }).await
    }

    /// Retries a read while its errors are transient, until the hub stops.
    pub(super) async fn retry<T, F>(&self, mut read: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut backoff = Backoff::up_to(self.tuning.poll_interval);
        loop {
            let outcome = self.stop.run_until_cancelled(async { read().await });
            let Some(outcome) = outcome.await else {
                return Err(Error::new(ErrorKind::Unavailable, "the hub was shut down"));
            };
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = backoff.pause_after(&error) else { return Err(error) };
            count(&self.counters.failed_reads);
            warn!(%error, "a subscription could not read the log; retrying");
            self.stop.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Starts again at `head`, in another history.
    pub(super) fn start_again(&self, head: Cursor) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).reset(head);
        // Before any subscription sees the new history, so that none in it is served from the old
        // one.
        self.pages.clear();
        self.set_tip(head);
        self.fan_out.restart(head);
    }
}

/// Reads, and gives the turn back when the store has answered, even if no caller waits for the
/// answer any more: the store may work on it all the same.
async fn with_turn(
    turn: ReadPermit,
    read: impl Future<Output = Result<Page>> + Send + 'static,
) -> Result<Page> {
    detached(async move {
        let outcome = read.await;
        drop(turn);
        outcome
    })
    .await
}
