use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by a future while another thread works for it. Dropping it tells that
/// thread that the answer is not wanted any more.
#[derive(Debug)]
#[must_use]
pub struct Waiting(Abandoned);

/// Whether the future that waits for an answer was dropped. Clones ask the same.
#[derive(Clone, Debug, Default)]
pub struct Abandoned(Arc<AtomicBool>);

impl Waiting {
    /// A future that waits, and what the other thread asks.
    pub fn new() -> (Self, Abandoned) {
        let abandoned = Abandoned::default();
        (Self(abandoned.clone()), abandoned)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Abandoned {
    /// Whether the answer is not wanted any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
