use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;

/// What [`serve`](crate) knows of a request's connection, among the request's
/// extensions.
///
/// The feed reads it: while it is open to this machine only, the peer has to be
/// on this machine, and open streams end in good order once `drain` is
/// cancelled. Under another server the feed does without; see
/// [`Feed::with_shutdown`](crate::feed::Feed::with_shutdown).
#[derive(Clone, Debug)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// Cancelled when the server begins to drain: finish what is open, begin
    /// nothing new.
    pub drain: CancellationToken,
}
