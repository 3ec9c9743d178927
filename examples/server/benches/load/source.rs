use crate::http_publisher::HttpPublisher;
use crate::peer::Peer;
use crate::publisher::Publisher;
use crate::server::Server;
use crate::support::Result;
use crate::transport::Transport;
use crate::usage::Usage;

/// The server under load, and how events get there.
#[derive(Debug)]
pub(crate) enum Source {
    /// Started by this program.
    Own(Server),
    /// Another server, for comparison.
    Peer(Peer),
    /// One that already runs, with its process if that is known.
    Running(Box<HttpPublisher>, Option<u32>),
}

impl Source {
    pub(crate) async fn start(transport: Transport) -> Result<Self> {
        Ok(match transport {
            Transport::Redis | Transport::Nats => Self::Peer(Peer::start(transport).await?),
            _ => Self::Own(Server::in_memory(transport).await?),
        })
    }

    pub(crate) async fn burst(&mut self, events: usize, batch: usize) -> Result<()> {
        match self {
            Self::Own(server) => server.burst(events, batch).await,
            Self::Peer(peer) => peer.burst(events, batch).await,
            Self::Running(publisher, _) => publisher.burst(events, batch).await,
        }
    }

    pub(crate) async fn at_rate(
        &mut self,
        per_second: usize,
        events: usize,
        streams: usize,
    ) -> Result<()> {
        match self {
            Self::Own(server) => server.at_rate(per_second, events, streams).await,
            Self::Peer(peer) => peer.at_rate(per_second, events, streams).await,
            Self::Running(publisher, _) => publisher.at_rate(per_second, events, streams).await,
        }
    }

    /// Zero if the process is not known.
    pub(crate) fn usage(&self) -> Usage {
        match self {
            Self::Own(server) => server.usage(),
            Self::Peer(peer) => peer.usage(),
            Self::Running(_, process) => process.map(Usage::of).unwrap_or_default(),
        }
    }
}
