use futures::Stream;

use super::connect_options::ConnectOptions;
use super::failure::Failure;
#[cfg(feature = "long-poll")]
use super::long_poll;
use super::reconnect_delay::ServerDelay;
use super::sse;
use super::transport_kind::TransportKind;
#[cfg(feature = "websocket")]
use super::websocket;
use downlink::transport::Frame;
use downlink::{Result, Subscribe};

/// The frames of one connection, as they were sent, over any transport.
///
/// A transport is a module with `async fn open(&ConnectOptions, &Subscribe) ->
/// Result<Frames, Failure>`, which returns once the server has accepted the
/// request, and a type `Frames` with `next` and `server_delay` as here. It ends
/// the connection to a silent server; it does not reconnect.
#[derive(Debug)]
pub(super) enum Frames {
    Sse(sse::Frames),
    #[cfg(feature = "websocket")]
    WebSocket(websocket::Frames),
    #[cfg(feature = "long-poll")]
    LongPoll(long_poll::Frames),
}

impl Frames {
    pub(super) async fn open(
        transport: TransportKind,
        options: &ConnectOptions,
        subscribe: &Subscribe,
    ) -> Result<Self, Failure> {
        match transport {
            #[cfg(feature = "websocket")]
            TransportKind::WebSocket => {
                websocket::open(options, subscribe).await.map(Self::WebSocket)
            }
            TransportKind::Sse => sse::open(options, subscribe).await.map(Self::Sse),
            #[cfg(feature = "long-poll")]
            TransportKind::LongPoll => {
                long_poll::open(options, subscribe).await.map(Self::LongPoll)
            }
        }
    }

    /// The next frame; `None` if the connection ended between two frames.
    /// Nothing follows `None` or an error.
    ///
    /// # Cancel safety
    ///
    /// No frame is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Frame, Failure>> {
        match self {
            Self::Sse(frames) => frames.next().await,
            #[cfg(feature = "websocket")]
            Self::WebSocket(frames) => frames.next().await,
            #[cfg(feature = "long-poll")]
            Self::LongPoll(frames) => frames.next().await,
        }
    }

    /// The delay before the next connection that the server asked for outside of
    /// its frames.
    pub(super) fn server_delay(&self) -> ServerDelay {
        match self {
            Self::Sse(frames) => frames.server_delay(),
            #[cfg(feature = "websocket")]
            Self::WebSocket(_) => ServerDelay::Unspecified,
            #[cfg(feature = "long-poll")]
            Self::LongPoll(frames) => frames.server_delay(),
        }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Frame>> + Send + 'static {
        futures::stream::unfold(self, |mut frames| async {
            let frame = frames.next().await?;
            Some((frame.map_err(|failure| failure.error), frames))
        })
    }
}
