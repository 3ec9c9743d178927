use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use downlink::transport::Frame;
use downlink::{Cursor, Result};
use futures::Stream;

use super::buffer::Buffer;

/// The frames of one subscription of a [`Socket`](super::Socket), in order.
///
/// [`Frame::Ready`] comes first. When the socket ends, the last frame is
/// [`Frame::Bye`] if the server sent a reconnect delay.
///
/// # Backpressure
///
/// Up to 1,024 frames or 1 MiB of events are buffered. When the buffer is full,
/// the client unsubscribes; once half is free, it subscribes again after the last
/// buffered frame. Nothing is lost or repeated, and a subscription that was live
/// gets [`Frame::Behind`]. The socket and its other subscriptions never wait for
/// this one.
///
/// # Errors
///
/// The stream ends after an error: the errors of
/// [`Client::connect`](crate::client::Client::connect), and the reason that the
/// server gives if it ends this subscription.
#[must_use = "a stream does nothing until it is polled"]
pub struct SocketSubscription {
    buffer: Arc<Buffer>,
    cursor: Option<Cursor>,
}

impl SocketSubscription {
    pub(super) fn new(buffer: Arc<Buffer>) -> Self {
        Self { buffer, cursor: None }
    }

    /// The cursor to resume after the last frame that was handed out; `None`
    /// before the first.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

impl Stream for SocketSubscription {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.buffer.poll_next(cx));
        if let Some(Ok(frame)) = &next {
            self.cursor = frame.cursor().max(self.cursor);
        }
        Poll::Ready(next)
    }
}

impl Drop for SocketSubscription {
    fn drop(&mut self) {
        self.buffer.close();
    }
}

impl fmt::Debug for SocketSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketSubscription").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
