use std::net::{IpAddr, SocketAddr};

use tokio_util::sync::CancellationToken;

/// What [`serve`](crate::serve) knows of a request's connection, among the
/// request's extensions.
///
/// The feed reads it: while it is open to this machine only, the peer has to be
/// on this machine, and open streams end in good order once `drain` is
/// cancelled. Under another server the feed does without; see
/// [`Feed::with_shutdown`](crate::feed::Feed::with_shutdown).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// Who asks: the peer, or whom a
    /// [trusted proxy](crate::serve::TrustedProxies) names.
    pub client: IpAddr,
    /// Cancelled when the server begins to drain: finish what is open, begin
    /// nothing new.
    pub drain: CancellationToken,
}

impl Connection {
    /// A connection without a proxy.
    #[must_use]
    pub fn new(peer: SocketAddr, drain: CancellationToken) -> Self {
        Self { peer, client: peer.ip().to_canonical(), drain }
    }
}
