use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What became of the body of one request.
#[derive(Debug)]
pub(super) struct Fate {
    phase: Mutex<Phase>,
    changed: Notify,
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its handler has it.
    Handled,
    /// Its handler has left it, and the rest is being discarded.
    Discarded,
    /// It was read to its end.
    Read,
    /// It is not read any more, and its sender may not know.
    Left,
    /// More came than is discarded.
    GivenUp,
}

impl Fate {
    pub(super) fn new() -> Self {
        Self { phase: Mutex::new(Phase::Handled), changed: Notify::new() }
    }

    pub(super) fn phase(&self) -> Phase {
        *self.lock()
    }

    pub(super) fn set(&self, phase: Phase) {
        *self.lock() = phase;
        self.changed.notify_one();
    }

    /// The phase once nothing is being discarded any more.
    pub(super) async fn settled(&self) -> Phase {
        loop {
            match self.phase() {
                Phase::Discarded => self.changed.notified().await,
                settled => return settled,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
