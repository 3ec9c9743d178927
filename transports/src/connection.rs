use std::net::{IpAddr, SocketAddr};

use tokio_util::sync::CancellationToken;

/// The connection of a request, which [`serve`](crate::serve) adds to the request's
/// extensions.
///
/// The feed reads it: a feed that is open to its own machine only requires a
/// loopback peer, and streams end cleanly once `drain` is cancelled. It is absent
/// under another server; see
/// [`Feed::with_shutdown`](crate::feed::Feed::with_shutdown).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The address of the peer.
    pub peer: SocketAddr,
    /// The address of the client: the peer, or the address that a
    /// [trusted proxy](crate::serve::TrustedProxies) reports.
    pub client: IpAddr,
    /// Cancelled when the server starts to drain: open requests should end, and new
    /// ones be refused.
    pub drain: CancellationToken,
}

impl Connection {
    /// Creates a connection without a proxy.
    #[must_use]
    pub fn new(peer: SocketAddr, drain: CancellationToken) -> Self {
        Self { peer, client: peer.ip().to_canonical(), drain }
    }
}
