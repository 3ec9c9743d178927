use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use downlink::transport::Frame;
use downlink::{Cursor, Result};
use futures::stream::{BoxStream, FusedStream};
use futures::{Stream, StreamExt};

use super::reconnector::Reconnector;

/// A stream of a feed's frames that reconnects by itself and does not end.
///
/// Yields [`Frame::Event`], [`Frame::Checkpoint`], [`Frame::Live`] and
/// [`Frame::Behind`]; `Live` and `Behind` may come again after a reconnect. Each
/// event comes exactly once: when a connection ends, the next one resumes after
/// the last frame that was handed out, on whichever transport.
///
/// # Storing the cursor
///
/// Within one process there is nothing to do. To continue after a restart: handle
/// a frame, then store [`Frame::cursor`]. ([`Follow::cursor`](Self::cursor) is the
/// same until you take the next frame.) If a frame must not be handled twice,
/// store the cursor in the same transaction as the frame's changes. Resume with
/// [`Subscribe::with_after`](downlink::Subscribe::with_after). If a cursor is
/// stored *before* its frame was handled, a crash loses that frame.
///
/// ```no_run
/// # async fn run(client: downlink_transports::client::Client) -> downlink::Result<()> {
/// # let (load, handle, store) = (|| None::<downlink::Cursor>, |_: &_| {}, |_| {});
/// use downlink::{Cursor, Subscribe};
/// use futures::TryStreamExt;
///
/// let stored = load().unwrap_or(Cursor::START);
/// let mut follow = client.follow(Subscribe::new().with_after(stored))?;
/// while let Some(frame) = follow.try_next().await? {
///     handle(&frame);
///     if let Some(cursor) = frame.cursor() {
///         store(cursor);
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Reconnects
///
/// Each reconnect is delayed by what the server asks for, or else by a random
/// time, see [`Client::with_reconnect_delay`](super::Client::with_reconnect_delay). After
/// three connections in a row that delivered nothing and ended soon, a server can
/// no longer shorten the delay. A server that cannot be reached is retried
/// forever, and each attempt is logged; set a timeout around the stream if you
/// need one.
///
/// Once the feed was reached, only the feed itself ends the stream. What a proxy
/// answers in its place (404 during a deployment, 403, a redirect, a page with the
/// status 200) is logged as a warning and retried, too. Before, such an answer is
/// an error: the URL is probably wrong.
///
/// # Errors
///
/// The stream ends after its first error, which retrying cannot fix:
///
/// - [`CursorAhead`](downlink::ErrorKind::CursorAhead) and
///   [`HistoryChanged`](downlink::ErrorKind::HistoryChanged) if the log was replaced by
///   another one.
/// - [`Invalid`](downlink::ErrorKind::Invalid) if the feed refuses the request, if the
///   [token provider](super::Client::with_token_provider) says so, or if there is no
///   feed at the URL and never was.
/// - [`TooLarge`](downlink::ErrorKind::TooLarge) for an event above the
///   [limit](super::Client::with_event_limit).
/// - [`Corrupt`](downlink::ErrorKind::Corrupt) if a feed ends three connections in a row
///   at the same place with bytes that cannot be read.
#[must_use = "a stream does nothing until it is polled"]
pub struct Follow {
    /// `None` after the end, so that the connection is closed then.
    frames: Option<BoxStream<'static, Result<Frame>>>,
    cursor: Option<Cursor>,
}

impl Follow {
    pub(super) fn new(reconnector: Reconnector) -> Self {
        let frames = futures::stream::unfold(reconnector, |mut reconnector| async {
            reconnector.next().await.map(|frame| (frame, reconnector))
        });
        Self { frames: Some(frames.boxed()), cursor: None }
    }

    /// The cursor to resume after the last frame that was handed out; `None`
    /// before the first.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

impl Stream for Follow {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
        let next = ready!(frames.as_mut().poll_next(cx));
        match &next {
            Some(Ok(frame)) => self.cursor = frame.cursor().max(self.cursor),
            Some(Err(_)) | None => self.frames = None,
        }
        Poll::Ready(next)
    }
}

impl FusedStream for Follow {
    fn is_terminated(&self) -> bool {
        self.frames.is_none()
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
