use std::sync::Arc;
use std::task::{Context, Poll};

use super::shard::{Shard, ShardState};
use super::slot::{Slot, SlotState};
use crate::cursor::Cursor;
use crate::filter::Filter;

/// The place of one subscription in the [`FanOut`](super::FanOut).
///
/// # Cancel safety
///
/// That a subscription waits, or was woken, is kept here and not in a future. A
/// future that is dropped loses no event.
#[derive(Debug)]
pub(in crate::hub) struct Registration {
    shard: Arc<Shard>,
    key: usize,
    filter: Filter,
    history: u64,
}

/// Why a subscription does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) enum Change {
    /// There may be more events after what it has examined.
    More,
    /// It has examined events, and has yielded nothing for a while.
    CheckpointDue,
    /// The log was replaced.
    Replaced,
    /// The hub was shut down.
    Stopped,
}

/// What a subscription waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) enum WakeFor {
    /// Events that may match its filter.
    Matching,
    /// Any event.
    Any,
}

/// What a subscription sees without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) enum Glance {
    /// Nothing after what it has examined is known to concern it.
    Nothing,
    More,
    Replaced,
    Stopped,
}

impl Registration {
    pub(super) fn new(shard: Arc<Shard>, filter: Filter) -> Self {
        let history = shard.history();
        let mut state = shard.lock();
        let key = state.slots.insert(Slot::new());
        state.index.add(key, &filter);
        drop(state);
        Self { shard, key, filter, history }
    }

    pub(in crate::hub) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Waits until there are events after `examined`, which may be moved past events
    /// that do not match. `delivered` is the cursor of the last item.
    pub(in crate::hub) fn poll(
        &self,
        cx: &mut Context<'_>,
        wake_for: WakeFor,
        examined: &mut Cursor,
        delivered: Cursor,
    ) -> Poll<Change> {
        // Cloned and dropped without the lock, because a waker may be foreign code.
        let waker = cx.waker().clone();
        let mut state = self.shard.lock();
        match self.glance(&mut state, examined) {
            Glance::Replaced => return Poll::Ready(Change::Replaced),
            Glance::Stopped => return Poll::Ready(Change::Stopped),
            Glance::More => return Poll::Ready(Change::More),
            Glance::Nothing => {}
        }
        let slot = &mut state.slots[self.key];
        if std::mem::take(&mut slot.is_checkpoint_due) && delivered.position() < examined.position()
        {
            return Poll::Ready(Change::CheckpointDue);
        }
        let waiting = match wake_for {
            WakeFor::Matching => SlotState::Waiting,
            WakeFor::Any => SlotState::WaitingForAny,
        };
        let before = state.wait(self.key, waiting, delivered, waker);
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// As [`poll`](Self::poll), without waiting.
    pub(in crate::hub) fn look(&self, examined: &mut Cursor) -> Glance {
        self.glance(&mut self.shard.lock(), examined)
    }

    /// How far the log was examined for a subscription that has examined it up to
    /// `examined` by itself.
    pub(in crate::hub) fn examined(&self, examined: Cursor) -> Cursor {
        let state = self.shard.lock();
        match state.slots[self.key].state {
            SlotState::Active => examined,
            SlotState::Waiting | SlotState::WaitingForAny => later(examined, state.tip),
            SlotState::Woken(from) => later(examined, from),
        }
    }

    fn glance(&self, state: &mut ShardState, examined: &mut Cursor) -> Glance {
        if state.is_stopped {
            return Glance::Stopped;
        }
        if self.shard.history() != self.history {
            return Glance::Replaced;
        }
        let slot = &mut state.slots[self.key];
        match slot.state {
            SlotState::Waiting | SlotState::WaitingForAny => return Glance::Nothing,
            SlotState::Woken(from) => {
                *examined = later(*examined, from);
                slot.state = SlotState::Active;
            }
            SlotState::Active => {}
        }
        if examined.position() < state.tip.position() { Glance::More } else { Glance::Nothing }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.shard.lock();
        state.index.remove(self.key, &self.filter);
        let slot = state.remove(self.key);
        drop(state);
        drop(slot);
    }
}

fn later(one: Cursor, other: Cursor) -> Cursor {
    if other.position() > one.position() { other } else { one }
}
