use downlink::event::Timestamp;
use downlink::{Event, Expected, Hub, NewEvent, Position, Version, memory};
use downlink_transports::feed;
use downlink_transports::serve::Server;
use downlink_transports::wire;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::arguments::Arguments;
use crate::clients::Clients;
use crate::{Result, raw};

/// How the events are sent to the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportKind {
    /// Without a protocol, as the baseline.
    Raw,
    Sse,
    #[cfg(feature = "websocket")]
    WebSocket,
}

impl TransportKind {
    pub(crate) const ALL: &[Self] = &[
        Self::Raw,
        Self::Sse,
        #[cfg(feature = "websocket")]
        Self::WebSocket,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Sse => "sse",
            #[cfg(feature = "websocket")]
            Self::WebSocket => "ws",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self> {
        let transport = Self::ALL.iter().copied().find(|transport| transport.name() == name);
        transport.ok_or_else(|| format!("there is no transport {name}").into())
    }

    /// The request of a client.
    pub(crate) fn request(self) -> &'static str {
        match self {
            Self::Raw => "\n",
            #[cfg(feature = "websocket")]
            Self::WebSocket => {
                "GET /feed/ws?after=now HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
            Self::Sse => {
                "GET /feed?after=now HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            }
        }
    }

    /// The text after which a client receives everything that is appended.
    pub(crate) fn is_live(self, text: &[u8]) -> bool {
        let sign: &[u8] = match self {
            Self::Raw => b"live\n",
            _ => b"\"frame\":\"live\"",
        };
        text.windows(sign.len()).any(|part| part == sign)
    }
}

/// A running server of one transport, with its clients.
pub(crate) struct Running {
    pub(crate) transport: TransportKind,
    pub(crate) clients: Clients,
    source: Source,
    _server: AbortOnDropHandle<()>,
}

enum Source {
    Raw(raw::Log),
    Hub(Hub),
}

impl Running {
    pub(crate) async fn start(transport: TransportKind, arguments: &Arguments) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (source, server) = if transport == TransportKind::Raw {
            let log = raw::Log::default();
            (Source::Raw(log.clone()), tokio::spawn(raw::serve(listener, log)))
        } else {
            let hub = memory::hub().await?;
            let server = Server::new(feed::router(&hub));
            let serving = server.serve(listener, CancellationToken::new());
            (Source::Hub(hub), tokio::spawn(async { serving.await.expect("it serves") }))
        };
        let server = AbortOnDropHandle::new(server);
        let clients = Clients::start(transport, address, arguments).await?;
        Ok(Self { transport, clients, source, _server: server })
    }

    pub(crate) async fn publish(&mut self, events: Vec<NewEvent>) -> Result<()> {
        match &self.source {
            Source::Raw(log) => {
                let (log, blocks) =
                    (log.clone(), events.into_iter().map(block).collect::<Vec<_>>());
                // In its own task, like an append, so that other tasks can run.
                tokio::spawn(async move { log.publish(blocks) }).await?;
            }
            Source::Hub(hub) => {
                hub.append_to("flight-UA1545", Expected::Any, events).await?;
            }
        }
        Ok(())
    }
}

/// The bytes that the feed sends for an event.
fn block(content: NewEvent) -> bytes::Bytes {
    let stream = "flight-UA1545".try_into().expect("a valid name");
    let position = Position::ZERO.next();
    wire::sse_block(&Event::new(position, stream, Version::FIRST, Timestamp::EPOCH, content))
}
