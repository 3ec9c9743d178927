use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Watches the deadline of the job that a writer runs.
#[derive(Debug, Default)]
pub(super) struct DeadlineWatch(Mutex<Option<Instant>>);

impl DeadlineWatch {
    /// Starts watching a job until the guard is dropped. Without a deadline,
    /// the job may take any time.
    pub(super) fn start(self: &Arc<Self>, until: Option<Instant>) -> DeadlineGuard {
        self.set(until);
        DeadlineGuard(Arc::clone(self))
    }

    /// Whether a job is still running after its deadline.
    pub(super) fn is_overdue(&self) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() > until)
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Represents a running job; ends the watch when it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct DeadlineGuard(Arc<DeadlineWatch>);

impl Drop for DeadlineGuard {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
