use std::io;
use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A TCP proxy in front of servers of which one is used at a time. It cuts all connections
/// when it is told to, and when it is given another server.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    server: watch::Sender<SocketAddr>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Starts a proxy for the server at this address.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot bind to a port of the loopback interface.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = watch::Sender::new(server);
        let current = server.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, current.clone()));
            }
        });
        Ok(Self { address, server, accepting })
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.server.send_modify(|_| {});
    }

    /// Cuts every connection, and leads later ones to this server.
    pub fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut client: TcpStream, mut current: watch::Receiver<SocketAddr>) {
    let server = *current.borrow_and_update();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = current.changed() => {}
    }
}
