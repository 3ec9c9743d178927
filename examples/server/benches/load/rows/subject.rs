use crate::clients::Clients;
use crate::request::Requests;
use crate::server::Server;
use crate::source::Source;
use crate::support::Result;
use crate::transport::Transport;

/// A server with its clients.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) transport: Transport,
    // Ends before the server.
    pub(super) clients: Clients,
    pub(super) source: Source,
}

impl Subject {
    /// Clients that receive everything.
    pub(super) async fn start(transport: Transport, connections: usize) -> Result<Self> {
        Self::start_with_filter(transport, connections, "").await
    }

    pub(super) async fn start_with_filter(
        transport: Transport,
        connections: usize,
        filter: &str,
    ) -> Result<Self> {
        let source = Source::start(transport).await?;
        let authority = match &source {
            Source::Own(Server { authority, .. }) => authority,
            Source::Peer(peer) => &peer.authority,
            Source::Running(..) => return Err("a row starts its own server".into()),
        };
        let requests = Requests::new(transport, authority).with_filter(filter);
        let clients = Clients::open(&requests, connections).await?;
        Ok(Self { transport, clients, source })
    }
}
