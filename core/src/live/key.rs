use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Answer, Change, LiveError};
use crate::cursor::Cursor;
use crate::error::ErrorKind;
use crate::id::Position;

/// One evaluation: a query with its scope and parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyId {
    pub(super) query: String,
    pub(super) version: u32,
    pub(super) scope: super::Scope,
    pub(super) params: super::Params,
}

/// What the subscribers of one evaluation share with the task that keeps it up to date.
#[derive(Debug, Default)]
pub(super) struct Key {
    /// Only the newest: no subscriber has a queue.
    pub(super) state: watch::Sender<State>,
    /// How many times an up-to-date answer was asked for, and how many of them are answered.
    asks: AtomicU64,
    answered: watch::Sender<u64>,
    /// Somebody asked for an answer as of at least this position.
    at_least: AtomicU64,
    /// Wakes the task.
    pub(super) wake: Notify,
    /// Makes room for another key.
    pub(super) evicted: CancellationToken,
}

/// The newest answer and the change that led to it.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) answer: Option<Arc<Answer>>,
    pub(super) change: Option<Arc<Change>>,
    pub(super) failure: Option<Arc<LiveError>>,
    pub(super) end: Option<End>,
}

/// Why there are no further answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The log was replaced by another one.
    Reset { reason: ErrorKind, head: Cursor },
    /// The hub was shut down, or the evaluation failed for good.
    Stopped,
}

impl Key {
    /// Asks for an answer that has everything that the model has now, as of at least this
    /// position, and waits until the evaluation was made or has failed.
    pub(super) async fn ask(&self, at_least: Position) {
        self.at_least.fetch_max(at_least.get(), Ordering::Relaxed);
        let ask = self.asks.fetch_add(1, Ordering::Relaxed) + 1;
        let mut answered = self.answered.subscribe();
        self.wake.notify_one();
        // The sender lives as long as `self`.
        let _ = answered.wait_for(|&answered| answered >= ask).await;
    }

    pub(super) fn asks(&self) -> u64 {
        self.asks.load(Ordering::Relaxed)
    }

    pub(super) fn has_asks(&self) -> bool {
        self.asks() > *self.answered.borrow()
    }

    pub(super) fn answer_asks(&self, up_to: u64) {
        self.answered.send_if_modified(|answered| std::mem::replace(answered, up_to) != up_to);
    }

    pub(super) fn at_least(&self) -> Position {
        Position::new(self.at_least.load(Ordering::Relaxed)).unwrap_or(Position::MAX)
    }

    /// Ends every subscription.
    pub(super) fn end(&self, end: End) {
        self.state.send_if_modified(|state| {
            let is_new = state.end.is_none();
            state.end.get_or_insert(end);
            is_new
        });
        self.answer_asks(u64::MAX);
    }
}
