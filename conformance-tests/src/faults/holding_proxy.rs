use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Gate;

/// The most that the proxy reads from the server while it holds back, in bytes.
const HELD: usize = 64 << 10;

/// A TCP proxy that can hold back what the server sends: it reads some of it,
/// forwards nothing, and then reads no more, until it is released or dropped.
#[derive(Debug)]
pub struct HoldingProxy {
    address: SocketAddr,
    gate: Gate,
    passed: watch::Sender<usize>,
    accepting: JoinHandle<()>,
}

impl HoldingProxy {
    /// Starts a proxy for the server at this address, which forwards
    /// everything.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot bind to a port of the loopback interface.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (gate, passed) = (Gate::open(), watch::Sender::new(0));
        let shared = (gate.clone(), passed.clone());
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (gate, passed) = shared.clone();
                // Dropping the proxy drops the connections and what they hold.
                connections
                    .spawn(async move { forward(client, server, &gate, &passed).await.ok() });
            }
        });
        Ok(Self { address, gate, passed, accepting })
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds back what the server sends from now on.
    pub fn hold(&self) {
        self.gate.close();
    }

    /// Forwards what it holds, and everything that follows.
    pub fn release(&self) {
        self.gate.release();
    }

    /// How many bytes it has forwarded to clients.
    #[must_use]
    pub fn passed(&self) -> usize {
        *self.passed.borrow()
    }

    /// Waits until it has forwarded more than this many bytes.
    pub async fn passes_beyond(&self, bytes: usize) {
        let mut passed = self.passed.subscribe();
        // The proxy itself holds the sender.
        let _ = passed.wait_for(|passed| *passed > bytes).await;
    }
}

impl Drop for HoldingProxy {
    /// Closes every connection, and drops what it holds.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(
    mut client: TcpStream,
    server: SocketAddr,
    gate: &Gate,
    passed: &watch::Sender<usize>,
) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        ended = copy(&mut from_client, &mut to_server) => ended.map(drop),
        ended = pass(&mut from_server, &mut to_client, gate, passed) => ended,
    }
}

async fn pass(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    gate: &Gate,
    passed: &watch::Sender<usize>,
) -> io::Result<()> {
    let mut buffer = vec![0; HELD];
    loop {
        let read = from.read(&mut buffer).await?;
        gate.pass().await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        passed.send_modify(|passed| *passed += read);
    }
}
