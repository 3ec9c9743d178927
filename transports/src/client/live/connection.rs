use std::time::Duration;

use downlink::Result;
use downlink::live::Token;
use downlink::transport::Frame;

#[cfg(feature = "long-poll")]
use super::poller::Poller;
use super::{Question, header};
use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::client::reconnect_delay::ServerDelay;
use crate::client::sse::SseReader;
use crate::client::transport_kind::TransportKind;
#[cfg(feature = "websocket")]
use crate::client::websocket::LiveSocket;
use crate::wire::{LiveMessage, parse_frame, parse_live};

/// A frame of a connection that follows a live query.
pub(in crate::client) enum LiveEvent {
    Live(LiveMessage),
    /// `bye`, `reset`, `problem` or a heartbeat.
    Control(Frame),
}

/// One connection, over any transport.
pub(super) enum LiveConnection {
    Sse(Box<SseReader>),
    #[cfg(feature = "websocket")]
    WebSocket(LiveSocket),
    #[cfg(feature = "long-poll")]
    LongPoll(Box<Poller>),
}

impl LiveConnection {
    pub(super) async fn open(
        transport: TransportKind,
        options: &ConnectOptions,
        question: &Question,
        after: Option<Token>,
    ) -> Result<Self, Failure> {
        match transport {
            #[cfg(feature = "websocket")]
            TransportKind::WebSocket => {
                let Question { query, params } = question.clone();
                LiveSocket::open(options, query, params, after).await.map(Self::WebSocket)
            }
            TransportKind::Sse => {
                let target = options.target()?;
                let path = target.path(&question.route(), &question.parameters());
                let reader = SseReader::open(options, &target, &path, after.map(header)).await?;
                Ok(Self::Sse(Box::new(reader)))
            }
            #[cfg(feature = "long-poll")]
            TransportKind::LongPoll => {
                let poller = Poller::open(options, question.clone(), after).await?;
                Ok(Self::LongPoll(Box::new(poller)))
            }
        }
    }

    /// The next frame; `None` if the connection ended between two frames. Nothing follows
    /// `None` or an error.
    ///
    /// # Cancel safety
    ///
    /// No frame is lost, except with long-poll, where the connection ends.
    pub(super) async fn next(&mut self) -> Option<Result<LiveEvent, Failure>> {
        let event = match self {
            Self::Sse(reader) => match reader.next().await.transpose()? {
                Ok(event) => live_event(&event.data),
                Err(error) => Err(error.into()),
            },
            #[cfg(feature = "websocket")]
            Self::WebSocket(socket) => socket.next().await?,
            #[cfg(feature = "long-poll")]
            Self::LongPoll(poller) => poller.next().await.map(LiveEvent::Live),
        };
        if let Ok(LiveEvent::Live(LiveMessage::Ready { heartbeat, .. })) = &event {
            self.expect_every(*heartbeat);
        }
        Some(event)
    }

    fn expect_every(&mut self, heartbeat: Option<Duration>) {
        match self {
            Self::Sse(reader) => reader.expect_every(heartbeat),
            #[cfg(feature = "websocket")]
            Self::WebSocket(socket) => socket.expect_every(heartbeat),
            #[cfg(feature = "long-poll")]
            Self::LongPoll(_) => {}
        }
    }

    /// The delay before the next connection that the server asked for.
    pub(super) fn server_delay(&self) -> ServerDelay {
        match self {
            Self::Sse(reader) => reader.server_delay(),
            #[cfg(feature = "websocket")]
            Self::WebSocket(_) => ServerDelay::Unspecified,
            #[cfg(feature = "long-poll")]
            Self::LongPoll(_) => ServerDelay::Unspecified,
        }
    }
}

/// Reads a frame; one that this version does not know is like a heartbeat.
fn live_event(json: &[u8]) -> Result<LiveEvent, Failure> {
    if let Some(message) = parse_live(json)? {
        return Ok(LiveEvent::Live(message));
    }
    let unknown = Frame::Heartbeat { head: downlink::Cursor::START };
    Ok(LiveEvent::Control(parse_frame(json)?.unwrap_or(unknown)))
}
