use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Gate;

/// The most that the proxy takes from the server while it holds, in bytes.
const HELD: usize = 64 << 10;

/// A TCP proxy that can hold back what the server sends: it takes some of it,
/// passes nothing on, and then takes no more, until it is told to pass it on or
/// to forget it.
#[derive(Debug)]
pub struct HoldingProxy {
    address: SocketAddr,
    gate: Gate,
    passed: watch::Sender<usize>,
    accepting: JoinHandle<()>,
}

impl HoldingProxy {
    /// A proxy for the server at this address; it holds nothing yet.
    ///
    /// # Errors
    ///
    /// Those of binding to a port of the loopback interface.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (gate, passed) = (Gate::open(), watch::Sender::new(0));
        let shared = (gate.clone(), passed.clone());
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (gate, passed) = shared.clone();
                // They end with the proxy, and with them what they hold.
                connections.spawn(async move { carry(client, server, &gate, &passed).await.ok() });
            }
        });
        Ok(Self { address, gate, passed, accepting })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds what comes from the server from now on.
    pub fn hold(&self) {
        self.gate.close();
    }

    /// Passes on what it holds, and what comes.
    pub fn release(&self) {
        self.gate.release();
    }

    /// How many bytes it has passed on to clients.
    #[must_use]
    pub fn passed(&self) -> usize {
        *self.passed.borrow()
    }

    /// Returns once it has passed on more than so many bytes.
    pub async fn passes_beyond(&self, bytes: usize) {
        let mut passed = self.passed.subscribe();
        // This very proxy holds the sender.
        let _ = passed.wait_for(|passed| *passed > bytes).await;
    }
}

impl Drop for HoldingProxy {
    /// Cuts every connection, and forgets what it holds.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(
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
