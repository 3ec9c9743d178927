use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::accept;
use super::connection_permit::ConnectionPermit;
use super::exchange::Phase;
use super::parse_error::ParseErrorStatus;
use super::watched::Watched;

/// What the head of a `HEAD` request begins with.
const HEAD: &[u8] = b"HEAD ";

/// The socket of a connection, which it tells what is read and written.
///
/// It also holds back hyper's [responses to parse errors](super::parse_error).
pub(super) struct Socket {
    watched: Arc<Watched>,
    /// What was held back.
    parse_error: Option<ParseErrorStatus>,
    /// How much of [`HEAD`] the last head that was received begins with, until it
    /// differs, and whether it has begun.
    method: Option<usize>,
    has_begun: bool,
    /// Whether the end of what the peer sends was withheld.
    is_end_withheld: bool,
    stuck_timeout: Duration,
    /// Held as long as the socket is open, also after an upgrade.
    _permit: ConnectionPermit,
}

impl Socket {
    pub(super) fn new(
        watched: Arc<Watched>,
        stuck_timeout: Duration,
        permit: ConnectionPermit,
    ) -> Self {
        Self {
            watched,
            parse_error: None,
            method: None,
            has_begun: false,
            is_end_withheld: false,
            stuck_timeout,
            _permit: permit,
        }
    }

    pub(super) fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }

    /// hyper's response to a request that it could not parse, which is to be replaced.
    pub(super) fn take_parse_error(&mut self) -> Option<ParseErrorStatus> {
        self.parse_error.take()
    }

    pub(super) fn is_head_request(&self) -> bool {
        self.method == Some(HEAD.len())
    }

    /// Whether these bytes are held back.
    fn holds_back(&mut self, bytes: &[u8]) -> bool {
        // A response of the router may look the same.
        let is_of_hyper = self.watched.exchange.snapshot().is_between_requests();
        let held_back = if is_of_hyper { ParseErrorStatus::of(bytes) } else { None };
        self.parse_error = self.parse_error.or(held_back);
        held_back.is_some()
    }
}

/// How much of [`HEAD`] was received, of which `seen` bytes were before. `None` if it is
/// another method.
fn seen_of_head(seen: usize, received: &[u8]) -> Option<usize> {
    let missing = &HEAD[seen..];
    let len = missing.len().min(received.len());
    (missing[..len] == received[..len]).then_some(seen + len)
}

impl Drop for Socket {
    fn drop(&mut self) {
        accept::limit_buffer_time(self.watched.stream(), self.stuck_timeout * 2);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.watched.poll_read_with(cx, |stream| stream.try_read_buf(buf)))?;
        let received = &buf.filled()[before..];
        if received.is_empty() && buf.remaining() > 0 && self.watched.withholds_end() {
            self.is_end_withheld = true;
            return Poll::Pending;
        }
        if !received.is_empty() {
            if self.watched.exchange.snapshot().is_between_requests() {
                let seen = if self.has_begun { self.method } else { Some(0) };
                self.method = seen.and_then(|seen| seen_of_head(seen, received));
                self.has_begun = true;
            } else {
                self.has_begun = false;
            }
            self.watched.exchange.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.holds_back(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        self.watched.poll_write_with(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.first().is_some_and(|buf| self.holds_back(buf)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        self.watched.poll_write_with(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything was answered, or nothing was asked for yet.
        self.has_begun &= self.watched.exchange.snapshot().phase() == Phase::Head;
        self.watched.exchange.flushed();
        if self.is_end_withheld && !self.watched.withholds_end() {
            // hyper waits for a wake-up, as for bytes that have not arrived.
            self.is_end_withheld = false;
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Not before the replacement is written.
        if self.parse_error.is_some() {
            return Poll::Ready(Ok(()));
        }
        match SockRef::from(self.watched.stream()).shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            outcome => Poll::Ready(outcome),
        }
    }
}
