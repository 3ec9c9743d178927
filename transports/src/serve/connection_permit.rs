use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::client_limiter::ClientPermit;
use super::stats::{Counters, count};

/// Everything that a connection counts towards while its socket is open.
pub(super) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    _clients: (Option<ClientPermit>, Option<Arc<OnceLock<ClientPermit>>>),
    counters: Arc<Counters>,
}

impl ConnectionPermit {
    pub(super) fn new(
        permit: OwnedSemaphorePermit,
        open: TaskTrackerToken,
        clients: (Option<ClientPermit>, Option<Arc<OnceLock<ClientPermit>>>),
        counters: Arc<Counters>,
    ) -> Self {
        count(&counters.open);
        Self { _permit: permit, _open: open, _clients: clients, counters }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}
