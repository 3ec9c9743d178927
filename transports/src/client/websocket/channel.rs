use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use downlink::{Cursor, Frame, Result};
use futures::Stream;

use super::buffer::Buffer;

/// One subscription of a [`Socket`](super::Socket): its frames, in their order.
///
/// [`Frame::Ready`] comes first. When the socket ends, the last frame is
/// [`Frame::Bye`] if the server has said when to come again.
///
/// # Backpressure
///
/// Up to 1,024 frames or 1 MiB of events wait for who does not take them. When
/// there are more, the subscription is taken back at the server, and opened
/// again after the last frame that waits as soon as half of them were taken:
/// nothing is lost or repeated, and [`Frame::Behind`] says so if it was live.
/// The socket and its other subscriptions never wait for this one.
///
/// # Errors
///
/// The stream ends after an error: as those of
/// [`Client::connect`](crate::client::Client::connect), and the reason of the
/// server if it ends this subscription.
#[must_use = "a stream does nothing until it is polled"]
pub struct Channel {
    buffer: Arc<Buffer>,
    cursor: Option<Cursor>,
}

impl Channel {
    pub(super) fn new(buffer: Arc<Buffer>) -> Self {
        Self { buffer, cursor: None }
    }

    /// Where to resume after the last frame that was handed out; `None` before
    /// the first.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

impl Stream for Channel {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.buffer.poll_next(cx));
        if let Some(Ok(frame)) = &next {
            self.cursor = frame.cursor().max(self.cursor);
        }
        Poll::Ready(next)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.buffer.leave();
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
