use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by a future while another thread works for it. Dropping it sets the
/// [`CancelFlag`] of that thread.
#[derive(Debug)]
#[must_use]
pub struct CancelOnDrop(CancelFlag);

/// Whether the future that waits for an answer was dropped. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelOnDrop {
    /// The guard for the future, and the flag for the other thread.
    pub fn new() -> (Self, CancelFlag) {
        let flag = CancelFlag::default();
        (Self(flag.clone()), flag)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl CancelFlag {
    /// Whether the answer is not needed any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
