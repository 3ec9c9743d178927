use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::parse_error::replacement_of;

/// A socket on which a write fails after making no progress for a while. It also
/// replaces hyper's [responses to parse errors](super::parse_error).
///
/// The timer exists only while a write waits, so it costs an idle socket nothing,
/// and a peer that reads slowly but steadily is never cut.
pub(super) struct TimedSocket<T, P> {
    io: T,
    write_timeout: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    on_stall: fn(&T, &P),
    first_write: FirstWrite,
    /// Held as long as the socket is open, also after an upgrade.
    permit: P,
}

/// The state of the first write, which may have to be replaced.
enum FirstWrite {
    /// Nothing has been written yet.
    Pending,
    /// The rest of the replacement.
    Replacing(&'static [u8]),
    /// The first write is complete.
    Done,
}

impl<T, P> TimedSocket<T, P> {
    /// Calls `on_stall` once, before the stalled write fails.
    pub(super) fn new(io: T, write_timeout: Duration, on_stall: fn(&T, &P), permit: P) -> Self {
        Self {
            io,
            write_timeout,
            waiting: None,
            on_stall,
            first_write: FirstWrite::Pending,
            permit,
        }
    }

    pub(super) fn get_ref(&self) -> &T {
        &self.io
    }

    fn poll_with_timeout<R>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>>
    where
        T: Unpin,
    {
        let outcome = write(Pin::new(&mut self.io), cx);
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let deadline = || Box::pin(tokio::time::sleep_until(Instant::now() + self.write_timeout));
        ready!(self.waiting.get_or_insert_with(deadline).as_mut().poll(cx));
        self.waiting = None;
        (self.on_stall)(&self.io, &self.permit);
        let message = format!("the peer has read nothing for {:?}", self.write_timeout);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<T: AsyncWrite + Unpin, P> TimedSocket<T, P> {
    /// Writes the replacement of `head`, if it has one. Returns whether it had one,
    /// once that is written.
    fn poll_replace(&mut self, cx: &mut Context<'_>, head: &[u8]) -> Poll<io::Result<bool>> {
        if let FirstWrite::Pending = self.first_write {
            self.first_write = replacement_of(head).map_or(FirstWrite::Done, FirstWrite::Replacing);
        }
        let FirstWrite::Replacing(mut rest) = self.first_write else {
            return Poll::Ready(Ok(false));
        };
        while !rest.is_empty() {
            let written = ready!(self.poll_with_timeout(cx, |io, cx| io.poll_write(cx, rest)))?;
            rest = &rest[written..];
            self.first_write = FirstWrite::Replacing(rest);
        }
        self.first_write = FirstWrite::Done;
        Poll::Ready(Ok(true))
    }
}

impl<T: AsyncRead + Unpin, P: Unpin> AsyncRead for TimedSocket<T, P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin, P: Unpin> AsyncWrite for TimedSocket<T, P> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.poll_replace(cx, buf))? {
            return Poll::Ready(Ok(buf.len()));
        }
        self.poll_with_timeout(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let head = bufs.first().map_or(&[][..], |buf| buf);
        if ready!(self.poll_replace(cx, head))? {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        self.poll_with_timeout(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with_timeout(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with_timeout(cx, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn pair() -> (TimedSocket<DuplexStream, ()>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(16);
        (TimedSocket::new(ours, LIMIT, |_, ()| {}, ()), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_is_cut_at_the_timeout() {
        let (mut socket, _theirs) = pair();
        let began = Instant::now();
        let error = socket.write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((LIMIT..LIMIT * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_but_steadily_is_served() {
        let (mut socket, mut theirs) = pair();
        let reader = async move {
            let mut read = 0;
            while read < 16 * 100 {
                tokio::time::sleep(LIMIT / 2).await;
                read += theirs.read(&mut [0; 16]).await.unwrap();
            }
            theirs
        };
        let (written, _theirs) = tokio::join!(socket.write_all(&[0; 16 * 100]), reader);
        written.expect("a peer that reads is never cut");
    }

    #[tokio::test(start_paused = true)]
    async fn the_permit_is_held_until_the_socket_is_dropped() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let permit = std::sync::Arc::clone(&permits).try_acquire_owned().unwrap();
        let socket = TimedSocket::new(ours, LIMIT, |_, _| {}, permit);
        assert_eq!(permits.available_permits(), 0);
        drop(socket);
        assert_eq!(permits.available_permits(), 1);
    }
}
