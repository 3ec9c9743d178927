use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::bus::Hint;
use crate::id::Position;

/// What other processes are to be told: the newest of what was stored, however
/// much there was since they were last told.
#[derive(Debug, Default)]
pub(super) struct Announcement {
    pending: Mutex<Option<Hint>>,
    is_due: Notify,
}

impl Announcement {
    /// Something up to here is stored.
    pub(super) fn stored(&self, position: Position) {
        self.add(|pending| match pending.map(Hint::claimed_position) {
            Some(None) => Hint::anything(),
            Some(Some(newest)) => Hint::at(newest.max(position)),
            None => Hint::at(position),
        });
    }

    /// Something may be stored.
    pub(super) fn anything(&self) {
        self.add(|_| Hint::anything());
    }

    /// Waits until there is something to tell, and takes it.
    pub(super) async fn next(&self) -> Hint {
        loop {
            if let Some(hint) = self.take() {
                return hint;
            }
            self.is_due.notified().await;
        }
    }

    /// What is to be told, if there is something.
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
    fn the_newest_is_told_once() {
        let announcement = Announcement::default();
        let at = |number| Position::new(number).unwrap();
        for number in [3, 9, 5] {
            announcement.stored(at(number));
        }
        assert_eq!(announcement.next().now_or_never(), Some(Hint::at(at(9))));
        assert_eq!(announcement.next().now_or_never(), None);
        announcement.anything();
        announcement.stored(at(12));
        assert_eq!(announcement.next().now_or_never(), Some(Hint::anything()));
    }
}
