use std::fmt;
use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// Opens the connections of a [`Client`](super::Client), by default plain TCP.
///
/// The default tries the addresses of a host in parallel, IPv6 and IPv4 in turn:
/// the next one after 250 milliseconds without an answer, or at once if one refuses.
///
/// Implement it to add TLS, Unix domain sockets or a proxy.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Opens a connection to this host, which is a name or an address as in the
    /// endpoint.
    ///
    /// # Errors
    ///
    /// Any error: the client retries later.
    ///
    /// # Cancel safety
    ///
    /// The client drops the future at its deadline.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn IoStream>>;
}

/// A bidirectional byte stream: any type that can be read and written.
pub trait IoStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> IoStream for T {}

impl fmt::Debug for dyn IoStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IoStream")
    }
}
