use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use downlink::{Cursor, Frame, Result, Subscribe};
use futures::stream::{BoxStream, FusedStream};
use futures::{Stream, StreamExt};

use super::client::Client;
use super::following::Following;

/// A feed without end: events, and where the subscription is, through as many
/// connections as it takes.
///
/// Yields [`Frame::Event`], [`Frame::Checkpoint`], [`Frame::Live`] and
/// [`Frame::Behind`]; `Live` and `Behind` may come again after a reconnect. Each
/// event comes once and none is left out: after a connection ended, the next
/// resumes after the last frame that was handed out, by whatever transport.
///
/// # Keeping the place
///
/// Within one process there is nothing to do. To go on after a restart, handle
/// a frame first and then store where it ends, which is
/// [`Frame::cursor`] of that frame, or [`cursor`](Self::cursor) as long as no
/// other frame was taken; with what the frame changed in one transaction, if it
/// must not be handled twice. Begin there again with
/// [`Subscribe::after`]. A cursor that was stored *before* its frame was
/// handled loses that frame in a crash.
///
/// ```no_run
/// # async fn run(client: downlink_transports::client::Client) -> downlink::Result<()> {
/// # let (load, handle, store) = (|| None::<downlink::Cursor>, |_: &_| {}, |_| {});
/// use downlink::{Cursor, Subscribe};
/// use futures::TryStreamExt;
///
/// let stored = load().unwrap_or(Cursor::START);
/// let mut follow = client.follow(Subscribe::new().after(stored))?;
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
/// Before each there is a pause: what the server asked for, or else a random
/// one, see [`Client::with_reconnect`]. What a server asks for counts less once
/// three connections in a row brought nothing and ended soon. A server that
/// cannot be reached is tried for ever, with a line in the log each time; set a
/// deadline around it if you need one.
///
/// # Errors
///
/// The stream ends after its first error, which is one that a repetition cannot
/// mend: [`CursorAhead`](downlink::ErrorKind::CursorAhead) and
/// [`HistoryChanged`](downlink::ErrorKind::HistoryChanged) if the log is another one now,
/// [`Invalid`](downlink::ErrorKind::Invalid) for a request that is refused,
/// [`Corrupt`](downlink::ErrorKind::Corrupt) and [`TooLarge`](downlink::ErrorKind::TooLarge) for
/// bytes that cannot be read.
#[must_use = "a stream does nothing until it is polled"]
pub struct Follow {
    /// `None` once it is over, so that the connection is closed then.
    frames: Option<BoxStream<'static, Result<Frame>>>,
    cursor: Option<Cursor>,
}

impl Follow {
    pub(super) fn new(client: Client, subscribe: Subscribe) -> Self {
        let following = Following::new(client, subscribe);
        let frames = futures::stream::unfold(following, |mut following| async {
            following.next().await.map(|frame| (frame, following))
        });
        Self { frames: Some(frames.boxed()), cursor: None }
    }

    /// Where to resume after the last frame that was handed out; `None` before
    /// the first.
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
