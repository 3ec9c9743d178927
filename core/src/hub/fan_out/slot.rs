use std::task::Waker;

use crate::cursor::Cursor;

/// What a shard knows of one subscription.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: SlotState,
    /// Set while it waits.
    waker: Option<Waker>,
    /// The cursor of the last item that it yielded before it waited.
    delivered: Cursor,
    /// Whether it should yield a checkpoint before it waits again.
    pub(super) is_checkpoint_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// It examines the log by itself.
    Active,
    /// It waits, and nothing up to the shard's tip concerns it.
    Waiting,
    /// It waits for any event.
    WaitingForAny,
    /// It was woken. Nothing up to this cursor concerns it.
    Woken(Cursor),
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            state: SlotState::Active,
            waker: None,
            delivered: Cursor::START,
            is_checkpoint_due: false,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, SlotState::Waiting | SlotState::WaitingForAny)
    }

    /// Lets it wait, and returns the waker of before. Dropping a waker may run foreign
    /// code, which must not be done under the lock.
    #[must_use]
    pub(super) fn wait(
        &mut self,
        state: SlotState,
        delivered: Cursor,
        waker: Waker,
    ) -> Option<Waker> {
        self.state = state;
        self.delivered = delivered;
        self.waker.replace(waker)
    }

    /// Wakes it if it waits, and nothing up to `examined` concerns it.
    pub(super) fn wake(&mut self, examined: Cursor, wakers: &mut Vec<Waker>) {
        if self.is_waiting() {
            self.state = SlotState::Woken(examined);
            wakers.extend(self.waker.take());
        }
    }

    /// Makes it yield a checkpoint, unless nothing was examined since its last item.
    pub(super) fn tick(&mut self, examined: Cursor, wakers: &mut Vec<Waker>) {
        if !self.is_waiting() {
            self.is_checkpoint_due = true;
        } else if self.delivered.position() < examined.position() {
            self.is_checkpoint_due = true;
            self.wake(examined, wakers);
        }
    }
}
