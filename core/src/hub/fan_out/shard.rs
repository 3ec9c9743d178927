use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use slab::Slab;

use super::interest_index::InterestIndex;
use super::slot::{Slot, SlotState};
use crate::cursor::Cursor;
use crate::event::Event;

/// A part of the subscriptions, under one lock.
#[derive(Debug)]
pub(super) struct Shard {
    state: Mutex<ShardState>,
    /// Counts how often the log was found to be replaced; the same for all shards, so
    /// that who learns of it in one of them can begin again in another.
    history: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(super) struct ShardState {
    /// The waiting subscriptions have everything up to here that concerns them.
    pub(super) tip: Cursor,
    /// Whether the hub was shut down.
    pub(super) is_stopped: bool,
    pub(super) slots: Slab<Slot>,
    pub(super) index: InterestIndex,
    /// Those that wait for any event, or did until they were woken.
    for_any: Vec<usize>,
}

impl Shard {
    pub(super) fn new(head: Cursor, history: Arc<AtomicU64>) -> Self {
        let state = ShardState {
            tip: head,
            is_stopped: false,
            slots: Slab::new(),
            index: InterestIndex::default(),
            for_any: Vec::new(),
        };
        Self { state: Mutex::new(state), history }
    }

    pub(super) fn history(&self) -> u64 {
        self.history.load(Ordering::SeqCst)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ShardState> {
        // A poisoned lock is harmless: its changes call no foreign code.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push<'a>(
        &self,
        events: impl Iterator<Item = &'a Event>,
        tip: Cursor,
        wakers: &mut Vec<Waker>,
    ) {
        let mut state = self.lock();
        let ShardState { slots, index, tip: examined, .. } = &mut *state;
        if !slots.is_empty() {
            for event in events {
                index.for_each_interested(event, |slot| slots[slot].wake(*examined, wakers));
            }
        }
        state.wake_those_for_any(wakers);
        state.tip = tip;
    }

    pub(super) fn skip_to(&self, tip: Cursor, wakers: &mut Vec<Waker>) {
        let mut state = self.lock();
        let from = state.tip;
        state.wake_all(from, wakers);
        state.tip = tip;
    }

    pub(super) fn restart(&self, head: Cursor, wakers: &mut Vec<Waker>) {
        let mut state = self.lock();
        state.tip = head;
        // Those of the new history have examined what they have examined.
        state.wake_all(Cursor::START, wakers);
    }

    pub(super) fn stop(&self, wakers: &mut Vec<Waker>) {
        let mut state = self.lock();
        state.is_stopped = true;
        state.wake_all(Cursor::START, wakers);
    }

    pub(super) fn tick(&self, wakers: &mut Vec<Waker>) {
        let mut state = self.lock();
        let ShardState { slots, tip, .. } = &mut *state;
        slots.iter_mut().for_each(|(_, slot)| slot.tick(*tip, wakers));
    }
}

impl ShardState {
    /// Lets a subscription wait, which has examined everything up to the tip. Returns
    /// what must be dropped without the lock.
    #[must_use]
    pub(super) fn wait(
        &mut self,
        key: usize,
        state: SlotState,
        delivered: Cursor,
        waker: Waker,
    ) -> Option<Waker> {
        let slot = &mut self.slots[key];
        let was_for_any = slot.state == SlotState::WaitingForAny;
        // Never fewer events than it has waited for before.
        let state = if was_for_any { slot.state } else { state };
        if state == SlotState::WaitingForAny && !was_for_any {
            self.for_any.push(key);
        }
        slot.wait(state, delivered, waker)
    }

    /// Returns what must be dropped without the lock.
    #[must_use]
    pub(super) fn remove(&mut self, key: usize) -> Slot {
        // Also if it was woken by a tick in the meantime.
        self.for_any.retain(|other| *other != key);
        self.slots.remove(key)
    }

    fn wake_those_for_any(&mut self, wakers: &mut Vec<Waker>) {
        let tip = self.tip;
        for key in self.for_any.drain(..) {
            self.slots[key].wake(tip, wakers);
        }
    }

    fn wake_all(&mut self, examined: Cursor, wakers: &mut Vec<Waker>) {
        self.for_any.clear();
        self.slots.iter_mut().for_each(|(_, slot)| slot.wake(examined, wakers));
    }
}
