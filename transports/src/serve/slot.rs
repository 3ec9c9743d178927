use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::clients::Place;
use super::stats::{Counters, count};

/// What a connection holds while its socket is open.
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    _places: (Option<Place>, Option<Arc<OnceLock<Place>>>),
    counters: Arc<Counters>,
}

impl Slot {
    pub(super) fn new(
        permit: OwnedSemaphorePermit,
        open: TaskTrackerToken,
        places: (Option<Place>, Option<Arc<OnceLock<Place>>>),
        counters: Arc<Counters>,
    ) -> Self {
        count(&counters.open);
        Self { _permit: permit, _open: open, _places: places, counters }
    }

    /// Takes note that the peer has stopped reading.
    pub(super) fn stalled(&self) {
        count(&self.counters.stalled);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}
