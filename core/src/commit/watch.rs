use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Until when the work that a writer has begun should have ended.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<Option<Instant>>);

impl Watch {
    /// Begins to watch work that should have ended by then, until what this
    /// returns is dropped. Without a time it may take as long as it likes.
    pub(super) fn over(self: &Arc<Self>, until: Option<Instant>) -> Watched {
        self.set(until);
        Watched(Arc::clone(self))
    }

    /// Whether work goes on that should have ended.
    pub(super) fn is_late(&self) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() > until)
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Work that goes on.
#[derive(Debug)]
#[must_use]
pub(super) struct Watched(Arc<Watch>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
