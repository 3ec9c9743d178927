use std::sync::atomic::{AtomicU64, Ordering};

/// What happened to the connections of a server since it was made, to be
/// exported as one likes.
///
/// # Examples
///
/// ```
/// use downlink_transports::serve::Server;
///
/// let server = Server::new(axum::Router::new());
/// let watched = server.clone();
/// // `server.serve(..)` runs in a task; a program exports as its recorder wants it.
/// let stats = watched.stats();
/// assert_eq!((stats.open, stats.stalled), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections that are open now, those included that are told to come
    /// again.
    pub open: u64,
    /// Connections that were accepted, whatever became of them.
    pub accepted: u64,
    /// Times that the system could not accept one: mostly the limit of open
    /// files.
    pub failed_accepts: u64,
    /// Connections at the limit of all, which were told to come again.
    pub refused: u64,
    /// Connections, and requests through a trusted proxy, of clients that had
    /// too much open.
    pub limited: u64,
    /// Connections that were closed without an answer, because too many were
    /// being refused already.
    pub dropped: u64,
    /// Connections that did not send the head of a request in time, or no
    /// further one.
    pub silent: u64,
    /// Requests whose body came to a halt.
    pub halted_bodies: u64,
    /// Connections that were closed although their peer, which had its answer,
    /// might still be sending: it sent more, or for longer, than
    /// [`with_linger_bytes`](super::Server::with_linger_bytes) and
    /// [`with_linger`](super::Server::with_linger) allow.
    pub still_sending: u64,
    /// Connections that were cut because their peer had stopped reading.
    pub stalled: u64,
    /// Connections that were cut at the end of the drain.
    pub cut: u64,
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
    pub(super) silent: AtomicU64,
    pub(super) halted_bodies: AtomicU64,
    pub(super) still_sending: AtomicU64,
    pub(super) stalled: AtomicU64,
    pub(super) cut: AtomicU64,
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
            silent: read(&self.silent),
            halted_bodies: read(&self.halted_bodies),
            still_sending: read(&self.still_sending),
            stalled: read(&self.stalled),
            cut: read(&self.cut),
        }
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
