use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The state of one request's body, which outlives the body.
#[derive(Debug)]
pub(super) struct BodyProgress {
    state: Mutex<BodyState>,
    changed: Notify,
}

/// How far a request's body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyState {
    /// The handler holds it.
    InHandler,
    /// The handler dropped it, and the rest is being discarded.
    Discarding,
    /// It was read to its end.
    Complete,
    /// It is not read any more, and the client may still be sending.
    Abandoned,
    /// There was more than the limits of discarding allow.
    OverLimit,
}

impl BodyProgress {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(BodyState::InHandler), changed: Notify::new() }
    }

    pub(super) fn state(&self) -> BodyState {
        *self.lock()
    }

    pub(super) fn set(&self, state: BodyState) {
        *self.lock() = state;
        self.changed.notify_one();
    }

    /// Waits until nothing is being discarded, and returns the state.
    pub(super) async fn settled(&self) -> BodyState {
        loop {
            match self.state() {
                BodyState::Discarding => self.changed.notified().await,
                settled => return settled,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BodyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
