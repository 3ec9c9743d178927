use std::fmt;
use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Opens the connections of a [`Client`](super::Client): plain TCP unless told
/// otherwise.
///
/// Implement it to add what the client leaves out: TLS, a socket of the file
/// system, a proxy of one's own.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Opens a connection to this host, which is a name or an address, as the
    /// endpoint has it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the connection from coming about: the client tries again
    /// later.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped at the client's deadline.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Wire>>;
}

/// A connection: bytes in order, both ways. Whatever reads and writes them is
/// one.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl fmt::Debug for dyn Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// What connects unless told otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp;

#[async_trait]
impl Connector for Tcp {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Wire>> {
        let stream = TcpStream::connect((host, port)).await?;
        // Only latency is lost without it.
        let _ = stream.set_nodelay(true);
        Ok(Box::new(stream))
    }
}
