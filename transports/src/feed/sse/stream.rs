use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;

use super::body::{Chunk, SseBody};
use super::opening::{Opened, Opening};
use super::{COMMENT, bye, ended_by};

/// A stream of the feed from its first byte to its last.
pub(super) enum SseStream {
    /// The client gets a comment before anything is read for it.
    Begun(Box<Opening>),
    Opening(Box<Opening>),
    Open(Box<SseBody>),
    Ended,
}

impl SseStream {
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |stream| {
            let (chunk, stream) = stream.next().await?;
            Some((Ok::<_, Infallible>(chunk), stream))
        }))
    }

    async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Self::Opening(opening) = self {
            self = match Box::pin(Self::opened(opening)).await {
                Ok(open) => open,
                Err(chunk) => return Some(chunk),
            };
        }
        match self {
            Self::Begun(mut opening) => {
                opening.options.has_begun = true;
                Some((COMMENT, Self::Opening(opening)))
            }
            Self::Open(mut body) => Some(match body.next().await {
                Chunk::More(chunk) => (chunk, Self::Open(body)),
                Chunk::Last(chunk) => (chunk, Self::Ended),
            }),
            Self::Opening(_) | Self::Ended => None,
        }
    }

    /// Waits until the subscription is open, or returns what is to be sent
    /// meanwhile.
    async fn opened(mut opening: Box<Opening>) -> Result<Self, (Bytes, Self)> {
        match opening.wait().await {
            Opened::Subscription(Ok(subscription)) => {
                Ok(Self::Open(Box::new(SseBody::new(subscription, opening.options))))
            }
            Opened::Subscription(Err(error)) => Err((ended_by(error), Self::Ended)),
            Opened::End(reason) => Err((bye(reason), Self::Ended)),
            Opened::Heartbeat(head) => {
                Err((opening.options.heartbeat_block(head), Self::Opening(opening)))
            }
        }
    }
}
