use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Nothing more is taken from the log while so many bytes wait, and nothing is
/// answered while it is so many.
const FULL: usize = 32 << 10;
const FLOODED: usize = 128 << 10;

/// The opcodes of final frames.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// From so many bytes on, a part is written as it was rendered for everybody;
/// smaller ones are copied into one piece, which is less work than a list.
const LARGE: usize = 4 << 10;

/// Pieces that are written at a time.
const PIECES: usize = 8;

/// A connection, and the whole frames that wait to be written to it.
///
/// tungstenite's own buffer keeps the size of its longest message for good.
/// This one is given back when it is empty, because thousands of them are. What
/// tungstenite itself has to say, pongs and closes, joins the same queue, so
/// that no frame is torn by another.
pub(super) struct Outlet<T> {
    io: T,
    pieces: VecDeque<Bytes>,
    /// What comes after the pieces.
    last: BytesMut,
    blocked_since: Option<Instant>,
    heard: bool,
}

impl<T> Outlet<T> {
    pub(super) fn new(io: T) -> Self {
        let (pieces, last) = (VecDeque::new(), BytesMut::new());
        Self { io, pieces, last, blocked_since: None, heard: false }
    }

    fn waiting(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum::<usize>() + self.last.len()
    }

    /// Whether enough waits to be written for now.
    pub(super) fn is_full(&self) -> bool {
        self.waiting() >= FULL
    }

    /// Whether not even answers may be added.
    pub(super) fn is_flooded(&self) -> bool {
        self.waiting() >= FLOODED
    }

    /// Since when the other end has taken nothing of what waits.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Whether anything came from the other end since this was asked last.
    pub(super) fn heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    pub(super) fn text(&mut self, text: &str) {
        self.begin_text(text.len());
        self.last.put_slice(text.as_bytes());
    }

    /// A text message of these parts, which have so many bytes together.
    pub(super) fn text_of(&mut self, len: usize, parts: impl Iterator<Item = Bytes>) {
        self.begin_text(len);
        for part in parts {
            if part.len() < LARGE {
                self.last.put_slice(&part);
            } else {
                self.pieces.push_back(self.last.split().freeze());
                self.pieces.push_back(part);
            }
        }
    }

    fn begin_text(&mut self, len: usize) {
        self.last.reserve(len.min(FULL) + 10);
        self.last.put_u8(TEXT);
        put_len(&mut self.last, len);
    }

    pub(super) fn ping(&mut self) {
        self.last.put_slice(&[PING, 0]);
    }

    /// These bytes were written.
    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.pieces.front_mut() {
            if written < first.len() {
                return first.advance(written);
            }
            written -= first.len();
            self.pieces.pop_front();
        }
        self.last.advance(written);
    }
}

/// The length of an unmasked frame, in as few bytes as it takes.
fn put_len(out: &mut BytesMut, len: usize) {
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => out.put_u8(len),
        (_, Ok(len)) => {
            out.put_u8(126);
            out.put_u16(len);
        }
        _ => {
            out.put_u8(127);
            out.put_uint(u64::try_from(len).expect("a length has at most 64 bits"), 8);
        }
    }
}

impl<T: AsyncWrite + Unpin> Outlet<T> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting() > 0 {
            let Poll::Ready(written) = self.poll_some(cx) else {
                self.blocked_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            };
            self.blocked_since = None;
            match written? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.advance(written),
            }
        }
        (self.pieces, self.last) = (VecDeque::new(), BytesMut::new());
        Poll::Ready(Ok(()))
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let io = Pin::new(&mut self.io);
        if self.pieces.is_empty() {
            return io.poll_write(cx, &self.last);
        }
        let mut slices = [IoSlice::new(&[]); PIECES];
        let waiting = self.pieces.iter().map(|piece| &piece[..]).chain([&self.last[..]]);
        for (slice, waiting) in slices.iter_mut().zip(waiting) {
            *slice = IoSlice::new(waiting);
        }
        io.poll_write_vectored(cx, &slices)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Outlet<T> {
    /// Takes all of it or nothing, because it is a whole frame.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        frame: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_flooded() {
            ready!(self.poll_drain(cx))?;
        }
        self.last.put_slice(frame);
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Outlet<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.heard |= buf.filled().len() > before;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn header(len: usize) -> Vec<u8> {
        let mut outlet = Outlet::new(());
        outlet.begin_text(len);
        outlet.last.to_vec()
    }

    #[test]
    fn lengths_take_as_few_bytes_as_they_can() {
        assert_eq!(header(0), [0x81, 0]);
        assert_eq!(header(125), [0x81, 125]);
        assert_eq!(header(126), [0x81, 126, 0, 126]);
        assert_eq!(header(255), [0x81, 126, 0, 255]);
        assert_eq!(header(65_535), [0x81, 126, 0xff, 0xff]);
        assert_eq!(header(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn what_was_written_takes_no_memory() {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut outlet = Outlet::new(ours);
        outlet.text(&"x".repeat(100_000));
        assert!(outlet.is_full());
        outlet.flush().await.unwrap();
        assert_eq!((outlet.pieces.capacity(), outlet.last.capacity()), (0, 0));
        let mut written = vec![0; 100_010];
        theirs.read_exact(&mut written).await.unwrap();
    }

    #[tokio::test]
    async fn large_parts_are_not_copied() {
        let large = Bytes::from(vec![b'x'; LARGE]);
        let parts =
            [Bytes::from_static(b"a"), large.clone(), Bytes::from_static(b"b"), large.clone()];
        let mut expected = vec![0x81, 126];
        expected.extend(u16::try_from(2 * LARGE + 2).unwrap().to_be_bytes());
        for part in &parts {
            expected.extend_from_slice(part);
        }
        // However little the connection takes at a time.
        for buffer in [1, 7, 1 << 20] {
            let (ours, mut theirs) = duplex(buffer);
            let mut outlet = Outlet::new(ours);
            outlet.text_of(2 * LARGE + 2, parts.iter().cloned());
            let shared = outlet.pieces.iter().filter(|piece| piece.as_ptr() == large.as_ptr());
            assert_eq!(shared.count(), 2);
            let mut written = Vec::new();
            let read = theirs.read_to_end(&mut written);
            let (shut, read) = tokio::join!(outlet.shutdown(), read);
            shut.and(read).unwrap();
            assert_eq!(written, expected);
        }
    }

    #[tokio::test]
    async fn frames_of_both_kinds_stay_whole() {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut outlet = Outlet::new(ours);
        outlet.text("ab");
        outlet.write_all(&[0x8a, 0]).await.unwrap();
        outlet.ping();
        outlet.shutdown().await.unwrap();
        let mut written = Vec::new();
        theirs.read_to_end(&mut written).await.unwrap();
        assert_eq!(written, [0x81, 2, b'a', b'b', 0x8a, 0, 0x89, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_knows_since_when_nobody_reads() {
        let (ours, mut theirs) = duplex(16);
        let mut outlet = Outlet::new(ours);
        let poll = async |outlet: &mut Outlet<_>| {
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *outlet).poll_flush(cx))).await
        };
        outlet.text(&"x".repeat(30));
        let began = Instant::now();
        assert!(poll(&mut outlet).await.is_pending());
        assert_eq!(outlet.blocked_since(), Some(began));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(poll(&mut outlet).await.is_pending());
        assert_eq!(outlet.blocked_since(), Some(began));
        theirs.read_exact(&mut [0; 8]).await.unwrap();
        assert!(poll(&mut outlet).await.is_pending());
        assert_eq!(outlet.blocked_since(), Some(Instant::now()));
        theirs.read_exact(&mut [0; 16]).await.unwrap();
        assert!(poll(&mut outlet).await.is_ready());
        assert_eq!(outlet.blocked_since(), None);
    }
}
