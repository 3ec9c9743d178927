use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use downlink::limits::MAX_WAIT;
use downlink::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use super::limits::Limits;
use super::stats::Counters;
use super::{ServerStats, TrustedProxies, accept};
use crate::Exposure;

/// Serves a router, with limits for everything that a peer could hold on to.
///
/// Every request carries the [`Connection`](crate::Connection) that it came on
/// and axum's `ConnectInfo` in its extensions. Upgraded connections count as
/// open, for the limit and for the drain, until their socket is dropped.
///
/// # Answers before the end of a request
///
/// A request can be answered before its body was read: it is forbidden, say, or
/// too large. Many clients write all of it before they read anything, and a
/// connection that is closed meanwhile is reset, at which they lose the answer.
/// So what they still send is read and discarded, and the connection is kept
/// for the next request. The answer says `Connection: close` if the client
/// waits to be told to send (`Expect: 100-continue`), if the body came to a
/// halt, or if it announces more bytes than are discarded; and the connection
/// ends after what is no HTTP. Then the server closes its half, and goes on
/// reading until the client has closed the other.
///
/// Both have bounds, [`with_linger_bytes`](Self::with_linger_bytes) and
/// [`with_linger`](Self::with_linger), beyond which the connection is cut, and
/// it counts as open until then. A server that drains waits for a second, not
/// five, for the next byte, and for none beyond its deadline.
///
/// # Drain
///
/// At `shutdown` idle connections are closed, and
/// [`Connection::drain`](crate::Connection) is cancelled, at which the bodies
/// of a feed say goodbye and end. Whoever connects meanwhile gets one answer,
/// which from a feed is to come again. When everything has ended the listener
/// is closed; what is still open after the deadline is cut.
///
/// # Clones
///
/// A clone is set up the same, and shares the [counters](Self::stats).
///
/// # Examples
///
/// ```no_run
/// # async fn run(router: axum::Router, listener: tokio::net::TcpListener) -> downlink::Result<()> {
/// use downlink_transports::Exposure;
/// use downlink_transports::serve::{Server, Signals};
///
/// let signals = Signals::listen()?;
/// Server::new(router)
///     .with_exposure(Exposure::Everyone)
///     .with_force(signals.force)
///     .serve(listener, signals.drain)
///     .await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Server {
    router: Router,
    exposure: Exposure,
    limits: Limits,
    counters: Arc<Counters>,
    force: CancellationToken,
}

impl Server {
    /// A server of this router, with the default limits.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            exposure: Exposure::LocalOnly,
            limits: Limits::default(),
            counters: Arc::default(),
            force: CancellationToken::new(),
        }
    }

    /// Whom the router is meant for: [`Exposure::LocalOnly`] by default, and
    /// then a listener that others can reach is refused.
    pub fn with_exposure(mut self, exposure: Exposure) -> Self {
        self.exposure = exposure;
        self
    }

    /// How many connections are served at a time: 10,000 by default.
    ///
    /// The next 64 are told to come again (503 with `Retry-After`, or for an
    /// `EventSource`, which does not survive that, a stream that says so and
    /// ends) and have a second to ask; more are closed at once.
    /// Every connection takes a file descriptor: see `ulimit -n`.
    pub fn with_max_connections(mut self, limit: usize) -> Self {
        self.limits.connections = limit.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// How much one client may have open at a time: no limit by default,
    /// because a proxy that the server is not told of is one client.
    ///
    /// For peers that connect directly connections are counted, and for clients
    /// behind [trusted proxies](Self::with_trusted_proxies) requests, open
    /// streams included. A client is an IPv4 address or the network of 64 bits
    /// of an IPv6 address. Whoever is beyond the limit is told so (429 with
    /// `Retry-After`, or a stream that says so and ends).
    pub fn with_max_per_client(mut self, limit: usize) -> Self {
        self.limits.per_client = Some(limit.max(1));
        self
    }

    /// The proxies that are believed when they say who asks: none by default.
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.limits.proxies = Some(proxies);
        self
    }

    /// How long a peer may take to send the head of a request, and may be idle
    /// between two: 10 seconds by default, a day at most.
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.header_timeout = timeout.min(MAX_WAIT);
        self
    }

    /// How long the body of a request may come to a halt, before reading it
    /// fails: 20 seconds by default, a day at most. Three times as long may be waited for the
    /// whole of it, and a second longer for every 16 KiB.
    pub fn with_read_stall(mut self, limit: Duration) -> Self {
        self.limits.read_stall = limit.min(MAX_WAIT);
        self
    }

    /// How long a peer may be silent that has its answer and has not sent its
    /// request whole: 5 seconds by default, a day at most. Six times as long may be waited for
    /// all of it.
    ///
    /// See [Answers before the end of a request](#answers-before-the-end-of-a-request).
    pub fn with_linger(mut self, silence: Duration) -> Self {
        self.limits.discard.silence = silence.min(MAX_WAIT);
        self
    }

    /// How many bytes are read, only to be discarded, of a peer that has its
    /// answer and has not sent its request whole: 64 MiB by default. A peer
    /// that sends more is cut.
    ///
    /// See [Answers before the end of a request](#answers-before-the-end-of-a-request).
    pub fn with_linger_bytes(mut self, limit: u64) -> Self {
        self.limits.discard.bytes = limit;
        self
    }

    /// How long a write may make no progress before the connection is cut: 20
    /// seconds by default, a day at most. A peer that reads slowly but steadily is never cut.
    pub fn with_write_stall(mut self, limit: Duration) -> Self {
        self.limits.write_stall = limit.min(MAX_WAIT);
        self
    }

    /// How long the drain waits for open connections: 10 seconds by default, a
    /// day at most.
    pub fn with_drain_deadline(mut self, deadline: Duration) -> Self {
        self.limits.drain_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// A token that ends the drain before its deadline: none by default.
    pub fn with_force(mut self, force: CancellationToken) -> Self {
        self.force = force;
        self
    }

    /// What happened to the connections since the server was made. Ask a clone:
    /// [`serve`](Self::serve) takes the server.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.counters.read()
    }

    /// Serves until `shutdown`, and drains.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if others than this machine can reach
    /// the listener and the exposure does not say that they may;
    /// [`Unavailable`](ErrorKind::Unavailable) if the listener fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes every connection at once, except upgraded
    /// ones, which belong to whoever upgraded them.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
        let address = listener.local_addr().map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "the listener has no address", error)
        })?;
        self.check_exposure(address)?;
        let deadline = self.limits.drain_deadline;
        let connections = Arc::new(Connections::new(self.router, self.limits, self.counters));
        let _guard = CutWhenDropped(Arc::clone(&connections));
        tracing::info!(%address, "serving");
        let accepting = accept_all(&connections, &listener);
        let ended = shutdown.run_until_cancelled(accepting).await.unwrap_or(Ok(()));
        connections.drain.cancel();
        tokio::select! {
            () = drain(&connections, deadline, &self.force) => ended,
            // Ends only with a listener that failed, and then nobody is left to be told.
            failed = accept_all(&connections, &listener), if ended.is_ok() => failed,
        }
    }

    fn check_exposure(&self, address: SocketAddr) -> Result<()> {
        if address.ip().to_canonical().is_loopback() || self.exposure != Exposure::LocalOnly {
            return Ok(());
        }
        let message = format!(
            "{address} can be reached from other machines, and nothing says who may read: listen on \
             127.0.0.1, or give the feed `.authorize(..)` or `.open_to_everyone()` and the server \
             `.with_exposure(feed.exposure())`"
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

struct CutWhenDropped(Arc<Connections>);

impl Drop for CutWhenDropped {
    fn drop(&mut self) {
        self.0.cut.cancel();
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
    connections.open.close();
    tracing::info!(open = connections.open.len(), ?deadline, "draining");
    tokio::select! {
        () = connections.open.wait() => return,
        () = force.cancelled() => {}
        () = tokio::time::sleep(deadline) => {}
    }
    tracing::warn!(open = connections.open.len(), "cut what has not ended");
    connections.cut.cancel();
    // Sockets that were upgraded are not ours to end.
    let _ = tokio::time::timeout(Duration::from_secs(1), connections.open.wait()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_can_be_added_to_a_moment() {
        let server = Server::new(Router::new())
            .with_header_timeout(Duration::MAX)
            .with_read_stall(Duration::MAX)
            .with_linger(Duration::MAX)
            .with_write_stall(Duration::MAX)
            .with_drain_deadline(Duration::MAX);
        let Limits { header_timeout, read_stall, discard, write_stall, drain_deadline, .. } =
            server.limits;
        for limit in [header_timeout, read_stall, discard.silence, write_stall, drain_deadline] {
            assert_eq!(limit, MAX_WAIT);
        }
    }
}
