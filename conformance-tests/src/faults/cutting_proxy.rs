use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A TCP proxy that cuts a connection after any number of bytes from the
/// server.
#[derive(Debug)]
pub struct CuttingProxy {
    address: SocketAddr,
    limit: Arc<AtomicUsize>,
    passed: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl CuttingProxy {
    /// Starts a proxy for the server at this address, which cuts nothing yet.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot bind to a port of the loopback interface.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let limit = Arc::new(AtomicUsize::new(usize::MAX));
        let passed = Arc::new(AtomicUsize::new(0));
        let connection = (Arc::clone(&limit), Arc::clone(&passed));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (limit, passed) =
                    (connection.0.load(Ordering::SeqCst), Arc::clone(&connection.1));
                passed.store(0, Ordering::SeqCst);
                // A connection that fails is a cut as well.
                tokio::spawn(async move { forward(client, server, limit, &passed).await.ok() });
            }
        });
        Ok(Self { address, limit, passed, accepting })
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every later connection after this many bytes from the server.
    pub fn cut_after(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::SeqCst);
    }

    /// How many bytes the server has sent on the newest connection.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(
    mut client: TcpStream,
    server: SocketAddr,
    limit: usize,
    passed: &AtomicUsize,
) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        ended = async {
            copy(&mut from_client, &mut to_server).await?;
            // The client has half-closed the connection: the response may still come.
            std::future::pending().await
        } => ended,
        ended = async {
            let (mut left, mut buffer) = (limit, [0; 8 << 10]);
            while left > 0 {
                let most = left.min(buffer.len());
                let read = from_server.read(&mut buffer[..most]).await?;
                if read == 0 {
                    break;
                }
                // Counted before they are sent, so that a client that has read them sees them counted.
                passed.fetch_add(read, Ordering::SeqCst);
                to_client.write_all(&buffer[..read]).await?;
                left -= read;
            }
            to_client.shutdown().await
        } => ended,
    }
}
