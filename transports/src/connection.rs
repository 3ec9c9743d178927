use std::net::{IpAddr, SocketAddr};

use downlink::budget::ByteBudget;
use tokio_util::sync::CancellationToken;

/// How many bytes are held for the peers of a server, by default.
pub(crate) const DEFAULT_BUDGET: usize = 128 << 20;

/// A request extension that describes the connection the request came on.
///
/// [`serve`](crate::serve) adds it to every request, and the feed reads it: a
/// feed with [`LocalOnly`](crate::Access::LocalOnly) access requires a peer on
/// this machine, and open streams end with `bye` once `drain` is cancelled.
/// Other servers do not add it; see [`Feed`](crate::feed::Feed#access) and
/// [`Feed::with_shutdown`](crate::feed::Feed::with_shutdown).
///
/// # Examples
///
/// A test that calls a router without a server says that it is on this machine:
///
/// ```
/// use axum::body::Body;
/// use downlink_transports::{Connection, feed};
/// use http::Request;
/// use tokio_util::sync::CancellationToken;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = downlink::memory::hub().await?;
/// let here = Connection::new(([127, 0, 0, 1], 3000).into(), CancellationToken::new());
/// let request = Request::get("/feed").header("host", "localhost").extension(here);
/// let response = feed::router(&hub).oneshot(request.body(Body::empty())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(()) }
/// ```
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
    /// The bytes that the server may hold for all its peers, which what is held for
    /// this one counts against.
    pub budget: ByteBudget,
}

impl Connection {
    /// A direct connection, without a proxy.
    #[must_use]
    pub fn new(peer: SocketAddr, drain: CancellationToken) -> Self {
        let budget = ByteBudget::new(DEFAULT_BUDGET);
        Self { peer, client: peer.ip().to_canonical(), drain, budget }
    }

    /// Sets the budget: one of this connection's own, of 128 MiB, by default.
    #[must_use]
    pub fn with_budget(mut self, budget: ByteBudget) -> Self {
        self.budget = budget;
        self
    }
}
