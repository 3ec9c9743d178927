use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a server's connections since the server was created, for export as
/// metrics.
///
/// # Examples
///
/// ```
/// use downlink_transports::serve::Server;
///
/// let server = Server::new(axum::Router::new());
/// let handle = server.clone();
/// // `server.serve(..)` runs in a task, and the program exports the counters.
/// let stats = handle.stats();
/// assert_eq!((stats.open, stats.stalled_writes), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections that are open now, including those that are being refused.
    pub open: u64,
    /// Connections that were accepted, including those refused or dropped later.
    pub accepted: u64,
    /// Failed attempts to accept a connection, mostly because of the limit of open
    /// files.
    pub failed_accepts: u64,
    /// Connections beyond the limit of the server, which were refused with a
    /// response.
    pub refused: u64,
    /// Connections, and requests through a trusted proxy, beyond the limit of their
    /// client.
    pub limited: u64,
    /// Connections that were closed without a response, because too many were being
    /// refused at the time.
    pub dropped: u64,
    /// Connections that were closed because the head of a request did not arrive in
    /// time. Those that were closed between two requests do not count.
    pub header_timeouts: u64,
    /// Requests whose body stalled.
    pub stalled_bodies: u64,
    /// Connections that were closed although their peer, which had its response,
    /// may still have been sending: it sent more, or for longer, than
    /// [`with_linger_bytes`](super::Server::with_linger_bytes) and
    /// [`with_linger_timeout`](super::Server::with_linger_timeout) allow.
    pub still_sending: u64,
    /// Connections that were closed because their peer had stopped reading, although
    /// its system still answered.
    pub stalled_writes: u64,
    /// Connections that were closed because their peer's system did not answer, for
    /// example because its network was gone. Counted on Linux only.
    pub dead_peers: u64,
    /// Requests whose body was refused because the server held as many bytes for its
    /// peers as it may.
    pub over_budget: u64,
    /// Connections that were still open at the end of the drain, and were closed.
    pub aborted: u64,
}

/// The counters behind [`ServerStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) open: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) failed_accepts: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) limited: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) header_timeouts: AtomicU64,
    pub(super) stalled_bodies: AtomicU64,
    pub(super) still_sending: AtomicU64,
    pub(super) stalled_writes: AtomicU64,
    pub(super) dead_peers: AtomicU64,
    pub(super) over_budget: AtomicU64,
    pub(super) aborted: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> ServerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerStats {
            open: read(&self.open),
            accepted: read(&self.accepted),
            failed_accepts: read(&self.failed_accepts),
            refused: read(&self.refused),
            limited: read(&self.limited),
            dropped: read(&self.dropped),
            header_timeouts: read(&self.header_timeouts),
            stalled_bodies: read(&self.stalled_bodies),
            still_sending: read(&self.still_sending),
            stalled_writes: read(&self.stalled_writes),
            dead_peers: read(&self.dead_peers),
            over_budget: read(&self.over_budget),
            aborted: read(&self.aborted),
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
