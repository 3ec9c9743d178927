//! Wakes the subscriptions that may want new events, and only these.

mod interest;
mod interest_index;
mod registration;
mod shard;
mod slot;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::thread::available_parallelism;

use self::shard::Shard;
use crate::cursor::Cursor;
use crate::event::Event;
use crate::filter::Filter;
use crate::supervise::contained;

pub(super) use self::registration::{Change, Glance, Registration, WakeFor};

/// A waiting subscription and the tail contend for the lock of one shard. With this
/// many shards per core, they rarely want the same one.
const SHARDS_PER_CORE: usize = 4;

/// The open subscriptions, in shards.
///
/// The tail calls [`push`](Self::push) after it has added events to the ring.
/// A subscription that waits is marked as woken, with the cursor before the events,
/// if one of them may match its filter. For the others nothing is done: their cursor
/// moves with that of their shard. So an event costs nothing for those who do not
/// want it, and an idle subscription does not fall behind.
///
/// # Order
///
/// A subscription begins to wait under the lock of its shard, and only if it has
/// examined everything that the shard has. The tail first adds events to the ring and
/// then to the shards. So an event is either in what the subscription has examined,
/// or wakes it.
#[derive(Debug)]
pub(super) struct FanOut {
    shards: Box<[Arc<Shard>]>,
    /// Counts how often the log was found to be replaced.
    history: Arc<AtomicU64>,
    /// The number of registrations so far, which distributes them.
    registered: AtomicUsize,
    /// The number of ticks so far, each of which is for one shard.
    ticks: AtomicUsize,
}

impl FanOut {
    pub(super) fn new(head: Cursor) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let history = Arc::new(AtomicU64::new(0));
        let shard = || Arc::new(Shard::new(head, Arc::clone(&history)));
        let shards = std::iter::repeat_with(shard).take(cores * SHARDS_PER_CORE).collect();
        Self { shards, history, registered: AtomicUsize::new(0), ticks: AtomicUsize::new(0) }
    }

    /// Registers a subscription. It does not wait yet.
    pub(super) fn register(&self, filter: Filter) -> Registration {
        Registration::new(Arc::clone(self.next_shard(&self.registered)), filter)
    }

    /// Wakes the waiting subscriptions that one of these events may concern. They are
    /// the next ones, up to `tip`.
    pub(super) fn push<'a>(&self, events: &(impl Iterator<Item = &'a Event> + Clone), tip: Cursor) {
        self.on_each(|shard, wakers| shard.push(events.clone(), tip, wakers));
    }

    /// Wakes every waiting subscription: the events up to `tip` are not known.
    pub(super) fn skip_to(&self, tip: Cursor) {
        self.on_each(|shard, wakers| shard.skip_to(tip, wakers));
    }

    /// Ends every subscription, because the log was replaced, and begins again at `head`.
    pub(super) fn restart(&self, head: Cursor) {
        self.history.fetch_add(1, Ordering::SeqCst);
        self.on_each(|shard, wakers| shard.restart(head, wakers));
    }

    /// Ends every subscription.
    pub(super) fn stop(&self) {
        self.on_each(Shard::stop);
    }

    /// How many ticks it takes until every subscription had one.
    pub(super) fn ticks_per_round(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// Makes the subscriptions of the next shard yield a checkpoint if they have
    /// examined events since their last item. One shard at a time, so that not
    /// everything wakes at once.
    pub(super) fn tick(&self) {
        let mut wakers = Vec::new();
        self.next_shard(&self.ticks).tick(&mut wakers);
        wake(&mut wakers);
    }

    fn next_shard(&self, counter: &AtomicUsize) -> &Arc<Shard> {
        &self.shards[counter.fetch_add(1, Ordering::Relaxed) % self.shards.len()]
    }

    /// Changes each shard, and wakes after its lock was released.
    fn on_each(&self, change: impl Fn(&Shard, &mut Vec<Waker>)) {
        let mut wakers = Vec::new();
        for shard in &self.shards {
            change(shard, &mut wakers);
            wake(&mut wakers);
        }
    }
}

/// Wakes all of them, also if one panics.
fn wake(wakers: &mut Vec<Waker>) {
    for waker in wakers.drain(..) {
        contained(|| waker.wake());
    }
}

#[cfg(test)]
mod tests;
