use downlink::{Frame, Result};
use futures::Stream;

#[cfg(feature = "long-poll")]
use super::long_poll;
use super::pauses::Told;
use super::sse;
#[cfg(feature = "websocket")]
use super::websocket;

/// The frames of one connection, as they were sent, whatever carries them.
///
/// A transport is a module with `async fn open(&Client, &Subscribe) ->
/// Result<Frames, Failure>`, which returns once the server has taken the
/// request, and a type `Frames` with `next` and `told` as they are here. It
/// leaves a server that is silent by itself; it does not reconnect.
#[derive(Debug)]
pub(super) enum Frames {
    Sse(sse::Frames),
    #[cfg(feature = "websocket")]
    WebSocket(websocket::Frames),
    #[cfg(feature = "long-poll")]
    LongPoll(long_poll::Frames),
}

impl Frames {
    /// The next frame; `None` if the connection ended between two. After `None`
    /// or an error there is none.
    ///
    /// # Cancel safety
    ///
    /// No frame is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Frame>> {
        match self {
            Self::Sse(frames) => frames.next().await,
            #[cfg(feature = "websocket")]
            Self::WebSocket(frames) => frames.next().await,
            #[cfg(feature = "long-poll")]
            Self::LongPoll(frames) => frames.next().await,
        }
    }

    /// What the server said about the next connection, beside its frames.
    pub(super) fn told(&self) -> Told {
        match self {
            Self::Sse(frames) => frames.told(),
            #[cfg(feature = "websocket")]
            Self::WebSocket(frames) => frames.told(),
            #[cfg(feature = "long-poll")]
            Self::LongPoll(frames) => frames.told(),
        }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Frame>> + Send + 'static {
        futures::stream::unfold(self, |mut frames| async {
            frames.next().await.map(|frame| (frame, frames))
        })
    }
}
