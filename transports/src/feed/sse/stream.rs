use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use futures::Stream;

use super::body::{Chunk, SseBody};
use super::opening::{Opened, Opening};
use super::source::Source;
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
        Body::from_stream(self)
    }

    /// The next part of the body, and whether it is the last.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        match std::mem::replace(self, Self::Ended) {
            Self::Begun(mut opening) => {
                opening.options.has_begun = true;
                *self = Self::Opening(opening);
                Poll::Ready(Some(Chunk::More(COMMENT)))
            }
            Self::Opening(mut opening) => {
                let opened = opening.poll(cx);
                let Poll::Ready(opened) = opened else {
                    *self = Self::Opening(opening);
                    return Poll::Pending;
                };
                self.opened(*opening, opened, cx)
            }
            Self::Open(mut body) => {
                let chunk = body.poll_next(cx);
                *self = Self::Open(body);
                chunk.map(Some)
            }
            Self::Ended => Poll::Ready(None),
        }
    }

    fn opened(
        &mut self,
        opening: Opening,
        opened: Opened,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Chunk>> {
        Poll::Ready(Some(match opened {
            Opened::Subscription(Ok(subscription)) => {
                *self =
                    Self::Open(Box::new(SseBody::new(Source::Log(subscription), opening.options)));
                return self.poll_chunk(cx);
            }
            Opened::Subscription(Err(error)) => Chunk::Last(ended_by(error)),
            Opened::End(reason) => Chunk::Last(bye(reason)),
            Opened::Last(frame) => Chunk::Last(frame),
            Opened::Heartbeat(head) => {
                let heartbeat = opening.options.heartbeat_block(head);
                *self = Self::Opening(Box::new(opening));
                Chunk::More(heartbeat)
            }
        }))
    }
}

impl Stream for SseStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(ready!(self.poll_chunk(cx)).map(|chunk| match chunk {
            Chunk::More(bytes) => Ok(bytes),
            Chunk::Last(bytes) => {
                *self = Self::Ended;
                Ok(bytes)
            }
        }))
    }
}
