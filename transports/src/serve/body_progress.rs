use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use downlink::budget::Reservation;
use tokio::sync::Notify;

use super::exchange::Exchange;

/// The state of one request's body, which outlives the body.
#[derive(Debug)]
pub(super) struct BodyProgress {
    state: Mutex<BodyState>,
    changed: Notify,
    held: Mutex<Held>,
    exchange: Arc<Exchange>,
}

/// What the handler has received, which counts as held until it has responded.
#[derive(Debug)]
struct Held {
    bytes: Reservation,
    /// Whether the handler was refused more.
    is_refused: bool,
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
    /// The bytes of the body are added to those of `bytes`.
    pub(super) fn new(bytes: Reservation, exchange: Arc<Exchange>) -> Self {
        Self {
            state: Mutex::new(BodyState::InHandler),
            changed: Notify::new(),
            held: Mutex::new(Held { bytes, is_refused: false }),
            exchange,
        }
    }

    /// Counts bytes that are given to the handler. Returns `false` if the budget has
    /// no room for them.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        let mut held = self.held();
        held.is_refused = held.is_refused || !held.bytes.try_grow(bytes);
        !held.is_refused
    }

    /// Gives everything back, and returns whether the handler was refused something.
    pub(super) fn release(&self) -> bool {
        let mut held = self.held();
        held.bytes.shrink(usize::MAX);
        held.is_refused
    }

    pub(super) fn state(&self) -> BodyState {
        *self.lock()
    }

    pub(super) fn set(&self, state: BodyState) {
        *self.lock() = state;
        if !matches!(state, BodyState::InHandler | BodyState::Discarding) {
            self.exchange.body_ended();
        }
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

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BodyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
