use std::net::{IpAddr, SocketAddr};

use tokio_util::sync::CancellationToken;

/// A request extension that describes the connection the request came on.
///
/// [`serve`](crate::serve) adds it to every request, and the feed reads it: a
/// feed with [`LocalOnly`](crate::Access::LocalOnly) access requires a peer on
/// this machine, and open streams end with `bye` once `drain` is cancelled.
/// Other servers do not add it; see
/// [`Feed::with_shutdown`](crate::feed::Feed::with_shutdown).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The address of the other end of the connection.
    pub peer: SocketAddr,
    /// The client's address: the peer's, or the one that a
    /// [trusted proxy](crate::serve::TrustedProxies) reports.
    pub client: IpAddr,
    /// Cancelled when the server begins to drain: finish what is open, begin
    /// nothing new.
    pub drain: CancellationToken,
}

impl Connection {
    /// A direct connection, without a proxy.
    #[must_use]
    pub fn new(peer: SocketAddr, drain: CancellationToken) -> Self {
        Self { peer, client: peer.ip().to_canonical(), drain }
    }
}
