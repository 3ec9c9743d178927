use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::unreadable::answer_in_place_of;

/// A socket whose peer has to read: a write that makes no progress for `limit`
/// fails.
///
/// The timer exists only while a write waits, so an idle socket pays nothing
/// for it, and a peer that reads slowly but steadily is never cut.
pub(super) struct Socket<T, S> {
    io: T,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    on_stall: fn(&T, &S),
    first: First,
    /// Held for as long as the socket is open, also by whoever takes it over
    /// in an upgrade.
    slot: S,
}

/// What is written first, which may be an answer in place of a bare one.
enum First {
    /// Nothing was written yet.
    Awaited,
    /// What is left of the answer in place.
    InPlace(&'static [u8]),
    /// It was written.
    Past,
}

impl<T, S> Socket<T, S> {
    /// `on_stall` is called once, before the write that stalled fails.
    pub(super) fn new(io: T, limit: Duration, on_stall: fn(&T, &S), slot: S) -> Self {
        Self { io, limit, waiting: None, on_stall, first: First::Awaited, slot }
    }

    pub(super) fn get_ref(&self) -> &T {
        &self.io
    }

    fn watch<R>(
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
        let deadline = || Box::pin(tokio::time::sleep_until(Instant::now() + self.limit));
        ready!(self.waiting.get_or_insert_with(deadline).as_mut().poll(cx));
        self.waiting = None;
        (self.on_stall)(&self.io, &self.slot);
        let message = format!("the peer has read nothing for {:?}", self.limit);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<T: AsyncWrite + Unpin, S> Socket<T, S> {
    /// Writes the answer in place of `head`, if that is a bare one. `Ready` once
    /// there is nothing to write in place, with whether there was.
    fn write_in_place(&mut self, cx: &mut Context<'_>, head: &[u8]) -> Poll<io::Result<bool>> {
        if let First::Awaited = self.first {
            self.first = answer_in_place_of(head).map_or(First::Past, First::InPlace);
        }
        let First::InPlace(mut rest) = self.first else { return Poll::Ready(Ok(false)) };
        while !rest.is_empty() {
            let written = ready!(self.watch(cx, |io, cx| io.poll_write(cx, rest)))?;
            rest = &rest[written..];
            self.first = First::InPlace(rest);
        }
        self.first = First::Past;
        Poll::Ready(Ok(true))
    }
}

impl<T: AsyncRead + Unpin, S: Unpin> AsyncRead for Socket<T, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin, S: Unpin> AsyncWrite for Socket<T, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.write_in_place(cx, buf))? {
            return Poll::Ready(Ok(buf.len()));
        }
        self.watch(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let head = bufs.first().map_or(&[][..], |buf| buf);
        if ready!(self.write_in_place(cx, head))? {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        self.watch(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(cx, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn pair() -> (Socket<DuplexStream, ()>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(16);
        (Socket::new(ours, LIMIT, |_, ()| {}, ()), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_is_cut_at_the_limit() {
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
    async fn the_slot_is_held_until_the_socket_is_dropped() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let slot = std::sync::Arc::clone(&slots).try_acquire_owned().unwrap();
        let socket = Socket::new(ours, LIMIT, |_, _| {}, slot);
        assert_eq!(slots.available_permits(), 0);
        drop(socket);
        assert_eq!(slots.available_permits(), 1);
    }
}
