use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use downlink::budget::{ByteBudget, Reservation};
use tokio::sync::Notify;

use super::exchange::Exchange;

/// The state of one request's body, which outlives the body.
#[derive(Debug)]
pub(super) struct BodyProgress {
    state: Mutex<BodyState>,
    changed: Notify,
    budget: ByteBudget,
    /// Whether the budget had no room for what the handler wanted to read.
    is_refused: AtomicBool,
    /// The request, as the exchange counts them.
    request: u32,
    exchange: Arc<Exchange>,
}

/// Bytes of a body, which count as held until the handler drops them.
struct Held {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
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
    /// The progress of the body of a new request.
    pub(super) fn new(budget: ByteBudget, exchange: Arc<Exchange>) -> Self {
        Self {
            state: Mutex::new(BodyState::InHandler),
            changed: Notify::new(),
            budget,
            is_refused: AtomicBool::new(false),
            request: exchange.requested(true),
            exchange,
        }
    }

    /// Counts bytes that are given to the handler as long as it keeps them. `None` if
    /// the budget has no room for them, or had none before.
    pub(super) fn hold(&self, bytes: Bytes) -> Option<Bytes> {
        if self.is_refused() {
            return None;
        }
        let reservation = self.budget.try_reserve(bytes.len());
        self.is_refused.store(reservation.is_none(), Ordering::Relaxed);
        Some(Bytes::from_owner(Held { bytes, _reservation: reservation? }))
    }

    /// Whether the handler was refused something.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> BodyState {
        *self.lock()
    }

    pub(super) fn set(&self, state: BodyState) {
        *self.lock() = state;
        if !matches!(state, BodyState::InHandler | BodyState::Discarding) {
            self.exchange.body_ended(self.request);
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

    fn lock(&self) -> MutexGuard<'_, BodyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
