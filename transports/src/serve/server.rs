use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use downlink::budget::ByteBudget;
use downlink::limits::MAX_WAIT;
use downlink::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::accept;
use super::connections::Connections;
use super::limits::Limits;
use super::proxies::TrustedProxies;
use super::stats::{Counters, ServerStats};
use crate::access::Access;

/// Serves a router, with limits on everything that a peer can occupy.
///
/// Every request has [`Connection`](crate::Connection) and axum's `ConnectInfo`
/// among its extensions. Upgraded connections count as open, for the limit and for
/// the drain, until their socket is dropped.
///
/// # Responses before the end of a request
///
/// A request can be answered before its body was read, for example because it is
/// forbidden or too large. Many clients write the whole request before they read
/// anything; if the connection is closed meanwhile, it is reset, and they lose the
/// response. So the server reads and discards what they still send, and keeps the
/// connection for the next request. If the client waits for `100 Continue`, if the
/// body stalled, or if its declared length is over the limit of discarding, the
/// response has `Connection: close`. The connection also ends after a request that
/// is not valid HTTP. The server then closes its half, and continues to read until
/// the client has closed the other.
///
/// In both cases discarding has limits,
/// [`with_linger_bytes`](Self::with_linger_bytes) and
/// [`with_linger_timeout`](Self::with_linger_timeout), beyond which the connection
/// is closed; it counts as open until then. While the server drains, it waits at
/// most a second for the next byte, and never beyond the deadline of the drain.
///
/// # Drain
///
/// At `shutdown` idle connections are closed, and
/// [`Connection::drain`](crate::Connection) is cancelled, at which the streams of a
/// feed end with `bye`. A client that connects during the drain gets one response,
/// which for a feed is to retry later. When everything has ended, the listener is
/// closed; what is still open at the deadline is closed too.
///
/// # Clones
///
/// A clone has the same options and shares the [counters](Self::stats).
///
/// # Examples
///
/// ```no_run
/// # async fn run(router: axum::Router, listener: tokio::net::TcpListener) -> downlink::Result<()> {
/// use downlink_transports::Access;
/// use downlink_transports::serve::{Server, Signals};
///
/// let signals = Signals::listen()?;
/// Server::new(router)
///     .with_access(Access::Public)
///     .with_force(signals.force)
///     .serve(listener, signals.drain)
///     .await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Server {
    router: Router,
    access: Access,
    limits: Limits,
    counters: Arc<Counters>,
    force: CancellationToken,
}

impl Server {
    /// A server of this router, with the default limits.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            access: Access::LocalOnly,
            limits: Limits::default(),
            counters: Arc::default(),
            force: CancellationToken::new(),
        }
    }

    /// Who has access to the router: [`Access::LocalOnly`] by default, with which
    /// [`serve`](Self::serve) refuses a listener that other machines can reach.
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// How many connections are served at a time: 10,000 by default.
    ///
    /// The next 64 have a second to send a request and are refused, with 503 and
    /// `Retry-After`, or for an `EventSource`, which does not survive an error
    /// status, with a stream that ends. More are closed at once. Every connection
    /// takes a file descriptor: see `ulimit -n`.
    pub fn with_max_connections(mut self, limit: usize) -> Self {
        self.limits.max_connections = limit.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// How many connections or requests one client may have open at a time: no limit
    /// by default, because an unknown proxy counts as one client.
    ///
    /// Connections are counted for peers that connect directly, and requests,
    /// including open streams, for clients behind
    /// [trusted proxies](Self::with_trusted_proxies). A client is an IPv4 address or
    /// the /64 network of an IPv6 address. Beyond the limit a client is refused, with
    /// 429 and `Retry-After`, or for an `EventSource` with a stream that ends.
    pub fn with_max_per_client(mut self, limit: usize) -> Self {
        self.limits.max_per_client = Some(limit.max(1));
        self
    }

    /// The proxies that are trusted to report the client's address: none by default.
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.limits.trusted_proxies = Some(proxies);
        self
    }

    /// How long a peer may take to send the head of a request: 10 seconds by default,
    /// a day at most. Counted from the start of the connection, and for a further
    /// request from its first byte.
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.liveness.head = timeout.min(MAX_WAIT);
        self
    }

    /// How long a connection may be idle between two requests: 75 seconds by default,
    /// a day at most.
    ///
    /// A proxy in front of the server should close the connections that it keeps
    /// before the server does, as nginx does after 60 seconds by default. Otherwise a
    /// request may be on its way when the server closes, and fail.
    pub fn with_keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.limits.liveness.keep_alive = timeout.min(MAX_WAIT);
        self
    }

    /// How long reading the body of a request may make no progress before it fails:
    /// 20 seconds by default, a day at most. It may also not be slower than 16 KiB per
    /// second for three times as long.
    pub fn with_read_stall_timeout(mut self, timeout: Duration) -> Self {
        self.limits.read_stall_timeout = timeout.min(MAX_WAIT);
        self
    }

    /// How long to wait for the next byte of a request that was answered before its
    /// end: 5 seconds by default, a day at most. All of it may take six times as
    /// long.
    ///
    /// See [Responses before the end of a request](#responses-before-the-end-of-a-request).
    pub fn with_linger_timeout(mut self, timeout: Duration) -> Self {
        self.limits.linger.timeout = timeout.min(MAX_WAIT);
        self
    }

    /// How many bytes are read and discarded of a request that was answered before
    /// its end: 64 MiB by default. A peer that sends more is disconnected.
    ///
    /// See [Responses before the end of a request](#responses-before-the-end-of-a-request).
    pub fn with_linger_bytes(mut self, limit: u64) -> Self {
        self.limits.linger.bytes = limit;
        self
    }

    /// How long a peer may acknowledge not a single byte, although something is to be
    /// sent to it, before it is disconnected: 5 minutes by default, a day at most.
    /// While the [byte budget](Self::with_byte_budget) is used up, peers are
    /// disconnected after half of it, those first that stopped first.
    ///
    /// A receiver that reads slowly acknowledges nothing for minutes, because it
    /// reports room for more only when much has become free: one that reads 1 KiB per
    /// second, with a receive buffer of 64 KiB, does so every two minutes. A shorter
    /// timeout disconnects such readers.
    ///
    /// On systems other than Linux the server does not know what is acknowledged. It
    /// counts the time in which a write waits.
    pub fn with_write_stall_timeout(mut self, timeout: Duration) -> Self {
        self.limits.liveness.stuck = timeout.min(MAX_WAIT);
        self
    }

    /// How long a peer's system may leave unanswered what is sent to it again and
    /// again, before it counts as gone and is disconnected: 20 seconds by default, a
    /// day at most. A peer that reads nothing, or slowly, still answers. Only Linux
    /// tells.
    ///
    /// A client that has closed its half of the connection after its request may be
    /// waiting for the response, or gone. For as long the server waits for a handler
    /// that does not respond to it, or for more of a response; a stream of server-sent
    /// events ends at once.
    pub fn with_dead_peer_timeout(mut self, timeout: Duration) -> Self {
        self.limits.liveness.dead = timeout.min(MAX_WAIT);
        self
    }

    /// How long the drain waits for open connections: 5 seconds by default, a
    /// day at most.
    pub fn with_drain_deadline(mut self, deadline: Duration) -> Self {
        self.limits.drain_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// Sets the bytes that may be held for all peers together: bodies that are being
    /// received, messages and appends over WebSocket, and pages of the log for
    /// readers that are behind. 128 MiB by default.
    ///
    /// Beyond it new bodies and messages are refused with 503, and peers that have
    /// stopped reading are disconnected sooner, those that stopped first. The bytes of
    /// a request body count as long as the handler keeps them: a handler that streams
    /// an upload may receive more than the budget.
    pub fn with_byte_budget(mut self, bytes: usize) -> Self {
        self.limits.budget = ByteBudget::new(bytes);
        self
    }

    /// A token that ends the drain before its deadline: none by default.
    pub fn with_force(mut self, force: CancellationToken) -> Self {
        self.force = force;
        self
    }

    /// The counters of the connections since the server was created. Call it on a
    /// clone, because [`serve`](Self::serve) takes the server.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.counters.read()
    }

    /// Serves until `shutdown`, and drains.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if other machines can reach the listener and
    /// the access is [`LocalOnly`](Access::LocalOnly);
    /// [`Unavailable`](ErrorKind::Unavailable) if the listener fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes every connection at once, except upgraded ones,
    /// which belong to the code that upgraded them.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
        let address = listener.local_addr().map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "the listener has no address", error)
        })?;
        self.check_access(address)?;
        let deadline = self.limits.drain_deadline;
        let connections = Arc::new(Connections::new(self.router, self.limits, self.counters));
        let _guard = AbortOnDrop(Arc::clone(&connections));
        let sweeping = Arc::clone(&connections);
        let _sweeper =
            AbortOnDropHandle::new(tokio::spawn(async move { sweeping.sweeper.run().await }));
        tracing::info!(%address, "serving");
        let accepting = accept_all(&connections, &listener);
        let ended = shutdown.run_until_cancelled(accepting).await.unwrap_or(Ok(()));
        connections.drain.cancel();
        tokio::select! {
            () = drain(&connections, deadline, &self.force) => ended,
            // Ends only if the listener fails, after which no client can connect.
            failed = accept_all(&connections, &listener), if ended.is_ok() => failed,
        }
    }

    fn check_access(&self, address: SocketAddr) -> Result<()> {
        if address.ip().to_canonical().is_loopback() || self.access != Access::LocalOnly {
            return Ok(());
        }
        let message = format!(
            "{address} can be reached from other machines, which have no access: listen on 127.0.0.1, \
             or call `.with_authorizer(..)` or `.with_public_access()` on the feed and \
             `.with_access(feed.access())` on the server"
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

struct AbortOnDrop(Arc<Connections>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort_all();
        self.0.drain.cancel();
    }
}

async fn accept_all(connections: &Arc<Connections>, listener: &TcpListener) -> Result<()> {
    loop {
        let (stream, peer) = accept::accept(listener, &connections.counters).await?;
        connections.spawn(stream, peer);
    }
}

async fn drain(connections: &Connections, deadline: Duration, force: &CancellationToken) {
    tracing::info!(open = connections.open.len(), ?deadline, "draining");
    tokio::select! {
        () = connections.ended() => return,
        () = force.cancelled() => {}
        () = tokio::time::sleep(deadline) => {}
    }
    tracing::warn!(open = connections.open.len(), "closing the connections that have not ended");
    connections.abort_all();
    // Upgraded sockets are not closed by the server.
    let _ = tokio::time::timeout(Duration::from_secs(1), connections.ended()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::liveness::LivenessLimits;

    #[test]
    fn every_timeout_can_be_added_to_an_instant() {
        let server = Server::new(Router::new())
            .with_header_timeout(Duration::MAX)
            .with_read_stall_timeout(Duration::MAX)
            .with_linger_timeout(Duration::MAX)
            .with_keep_alive_timeout(Duration::MAX)
            .with_write_stall_timeout(Duration::MAX)
            .with_dead_peer_timeout(Duration::MAX)
            .with_drain_deadline(Duration::MAX);
        let Limits { read_stall_timeout, linger, liveness, drain_deadline, .. } = server.limits;
        let LivenessLimits { dead, stuck, head, keep_alive } = liveness;
        let timeouts = [read_stall_timeout, linger.timeout, drain_deadline];
        for limit in timeouts.into_iter().chain([dead, stuck, head, keep_alive]) {
            assert_eq!(limit, MAX_WAIT);
        }
    }
}
