use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::bus::Hint;
use crate::id::Position;

/// The next hint for other processes. All appends since the last hint are
/// merged into one, with the newest position.
#[derive(Debug, Default)]
pub(super) struct PendingHint {
    pending: Mutex<Option<Hint>>,
    is_due: Notify,
}

impl PendingHint {
    /// Records that events up to this position are stored.
    pub(super) fn stored(&self, position: Position) {
        self.add(|pending| match pending.map(Hint::claimed_position) {
            Some(None) => Hint::anything(),
            Some(Some(newest)) => Hint::at(newest.max(position)),
            None => Hint::at(position),
        });
    }

    /// Records that something may be stored.
    pub(super) fn anything(&self) {
        self.add(|_| Hint::anything());
    }

    /// Waits until there is a hint to publish, and takes it.
    pub(super) async fn next(&self) -> Hint {
        loop {
            if let Some(hint) = self.take() {
                return hint;
            }
            self.is_due.notified().await;
        }
    }

    /// Takes the hint to publish, if there is one.
    pub(super) fn take(&self) -> Option<Hint> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn add(&self, to: impl FnOnce(Option<Hint>) -> Hint) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let hint = to(*pending);
        let is_new = pending.replace(hint).is_none();
        drop(pending);
        if is_new {
            self.is_due.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn hints_are_merged_into_the_newest() {
        let pending_hint = PendingHint::default();
        let at = |number| Position::new(number).unwrap();
        for number in [3, 9, 5] {
            pending_hint.stored(at(number));
        }
        assert_eq!(pending_hint.next().now_or_never(), Some(Hint::at(at(9))));
        assert_eq!(pending_hint.next().now_or_never(), None);
        pending_hint.anything();
        pending_hint.stored(at(12));
        assert_eq!(pending_hint.next().now_or_never(), Some(Hint::anything()));
    }
}
