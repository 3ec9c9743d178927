use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use downlink::budget::Reservation;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::close_frame::CloseFrame;

/// While this many bytes are buffered, no more events are taken from the log.
const EVENT_LIMIT: usize = 32 << 10;

/// While this many bytes are buffered, no more commands are read either.
const REPLY_LIMIT: usize = 128 << 10;

/// The first bytes of final frames, with their opcodes.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Parts of at least this many bytes are written from the buffer that all
/// subscribers share. Smaller ones are copied into one buffer, which is cheaper
/// than a list of buffers.
const LARGE: usize = 4 << 10;

/// How many chunks are written at a time.
const MAX_SLICES: usize = 8;

/// A connection, with a buffer of whole frames to be written to it. The buffer is
/// freed when it is empty, because on thousands of sockets it usually is.
pub(super) struct FrameBuffer<T> {
    io: T,
    chunks: VecDeque<Bytes>,
    /// What follows the chunks.
    last: BytesMut,
    blocked_since: Option<Instant>,
    received: bool,
    written: u64,
    /// The bytes that are buffered while the client does not read.
    held: Reservation,
}

impl<T> FrameBuffer<T> {
    /// What is buffered while the client does not read is added to `held`.
    pub(super) fn new(io: T, held: Reservation) -> Self {
        let (chunks, last) = (VecDeque::new(), BytesMut::new());
        Self { io, chunks, last, blocked_since: None, received: false, written: 0, held }
    }

    fn buffered(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum::<usize>() + self.last.len()
    }

    /// Whether no more events should be added for now.
    pub(super) fn is_full(&self) -> bool {
        self.buffered() >= EVENT_LIMIT
    }

    /// Whether not even replies should be added.
    pub(super) fn is_full_for_replies(&self) -> bool {
        self.buffered() >= REPLY_LIMIT
    }

    /// Since when the client has not read anything of what is buffered.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// How many bytes are before the next frame, those that are buffered included.
    pub(super) fn position(&self) -> u64 {
        self.written + u64::try_from(self.buffered()).unwrap_or(u64::MAX)
    }

    /// How many bytes the client had read when it answered a ping with this payload;
    /// `None` if it is not that of one of ours.
    pub(super) fn read_before_pong(&self, payload: &[u8]) -> Option<u64> {
        let read = u64::from_be_bytes(payload.try_into().ok()?);
        (read <= self.written).then_some(read)
    }

    /// Counts what is buffered now.
    fn count_held(&mut self) {
        let (buffered, held) = (self.buffered(), self.held.bytes());
        if buffered > held {
            self.held.grow(buffered - held);
        } else {
            self.held.shrink(held - buffered);
        }
    }

    /// Whether anything was received since the last call.
    pub(super) fn take_received(&mut self) -> bool {
        std::mem::take(&mut self.received)
    }

    pub(super) fn push_text(&mut self, text: &str) {
        self.begin_text(text.len());
        self.last.put_slice(text.as_bytes());
    }

    /// Adds a text message of these parts, which have `len` bytes in total.
    pub(super) fn push_text_parts(&mut self, len: usize, parts: impl Iterator<Item = Bytes>) {
        self.begin_text(len);
        for part in parts {
            if part.len() < LARGE {
                self.last.put_slice(&part);
            } else {
                self.chunks.push_back(self.last.split().freeze());
                self.chunks.push_back(part);
            }
        }
    }

    fn begin_text(&mut self, len: usize) {
        self.last.reserve(len.min(EVENT_LIMIT) + 10);
        self.last.put_u8(TEXT);
        put_len(&mut self.last, len);
    }

    /// Adds a ping whose payload says where it is, so that its pong says what was read.
    pub(super) fn push_ping(&mut self) {
        self.push_control(PING, &self.position().to_be_bytes());
    }

    /// Adds the answer to a ping with this payload.
    pub(super) fn push_pong(&mut self, payload: &[u8]) {
        self.push_control(PONG, payload);
    }

    pub(super) fn push_close(&mut self, frame: Option<&CloseFrame>) {
        self.push_control(CLOSE, &frame.map(CloseFrame::payload).unwrap_or_default());
    }

    fn push_control(&mut self, first: u8, payload: &[u8]) {
        self.last.put_u8(first);
        put_len(&mut self.last, payload.len());
        self.last.put_slice(payload);
    }

    /// Removes what was written.
    fn advance(&mut self, mut written: usize) {
        self.written += u64::try_from(written).unwrap_or(u64::MAX);
        while let Some(first) = self.chunks.front_mut() {
            if written < first.len() {
                return first.advance(written);
            }
            written -= first.len();
            self.chunks.pop_front();
        }
        self.last.advance(written);
    }
}

/// The length of an unmasked frame, in as few bytes as possible.
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

impl<T: AsyncWrite + Unpin> FrameBuffer<T> {
    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.buffered() > 0 {
            let Poll::Ready(written) = self.poll_write_some(cx) else {
                self.blocked_since.get_or_insert_with(Instant::now);
                self.count_held();
                return Poll::Pending;
            };
            self.blocked_since = None;
            match written? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.advance(written),
            }
        }
        (self.chunks, self.last) = (VecDeque::new(), BytesMut::new());
        self.held.shrink(usize::MAX);
        Poll::Ready(Ok(()))
    }

    fn poll_write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let io = Pin::new(&mut self.io);
        if self.chunks.is_empty() {
            return io.poll_write(cx, &self.last);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let buffers = self.chunks.iter().map(|chunk| &chunk[..]).chain([&self.last[..]]);
        for (slice, buffer) in slices.iter_mut().zip(buffers) {
            *slice = IoSlice::new(buffer);
        }
        io.poll_write_vectored(cx, &slices)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FrameBuffer<T> {
    /// Accepts the whole slice or nothing, because it is a whole frame.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        frame: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_full_for_replies() {
            ready!(self.poll_write_all(cx))?;
        }
        self.last.put_slice(frame);
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_all(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_all(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FrameBuffer<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.received |= buf.filled().len() > before;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use downlink::budget::ByteBudget;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn held() -> Reservation {
        ByteBudget::new(1 << 20).empty()
    }

    fn header(len: usize) -> Vec<u8> {
        let mut buffer = FrameBuffer::new((), held());
        buffer.begin_text(len);
        buffer.last.to_vec()
    }

    #[test]
    fn lengths_take_as_few_bytes_as_possible() {
        assert_eq!(header(0), [0x81, 0]);
        assert_eq!(header(125), [0x81, 125]);
        assert_eq!(header(126), [0x81, 126, 0, 126]);
        assert_eq!(header(255), [0x81, 126, 0, 255]);
        assert_eq!(header(65_535), [0x81, 126, 0xff, 0xff]);
        assert_eq!(header(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn an_empty_buffer_is_freed() {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut buffer = FrameBuffer::new(ours, held());
        buffer.push_text(&"x".repeat(100_000));
        assert!(buffer.is_full());
        buffer.flush().await.unwrap();
        assert_eq!((buffer.chunks.capacity(), buffer.last.capacity()), (0, 0));
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
        // No matter how few bytes the connection accepts at a time.
        for size in [1, 7, 1 << 20] {
            let (ours, mut theirs) = duplex(size);
            let mut buffer = FrameBuffer::new(ours, held());
            buffer.push_text_parts(2 * LARGE + 2, parts.iter().cloned());
            let shared = buffer.chunks.iter().filter(|chunk| chunk.as_ptr() == large.as_ptr());
            assert_eq!(shared.count(), 2);
            let mut written = Vec::new();
            let read = theirs.read_to_end(&mut written);
            let (shut, read) = tokio::join!(buffer.shutdown(), read);
            shut.and(read).unwrap();
            assert_eq!(written, expected);
        }
    }

    #[tokio::test]
    async fn frames_are_not_interleaved() {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut buffer = FrameBuffer::new(ours, held());
        buffer.push_text("ab");
        buffer.push_pong(b"x");
        buffer.push_ping();
        buffer.push_close(Some(&CloseFrame::new(1000, "c")));
        buffer.push_close(None);
        buffer.shutdown().await.unwrap();
        let mut written = Vec::new();
        theirs.read_to_end(&mut written).await.unwrap();
        let close = b"\x88\x03\x03\xe8c\x88\0";
        let ping = b"\x89\x08\0\0\0\0\0\0\0\x07";
        assert_eq!(written, [&b"\x81\x02ab\x8a\x01x"[..], ping, close].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn blocked_since_is_when_the_client_stopped_reading() {
        let (ours, mut theirs) = duplex(16);
        let mut buffer = FrameBuffer::new(ours, held());
        let poll = async |buffer: &mut FrameBuffer<_>| {
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *buffer).poll_flush(cx))).await
        };
        buffer.push_text(&"x".repeat(30));
        let began = Instant::now();
        assert!(poll(&mut buffer).await.is_pending());
        assert_eq!(buffer.blocked_since(), Some(began));
        assert_eq!(buffer.held.bytes(), 16, "what is buffered counts");
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(poll(&mut buffer).await.is_pending());
        assert_eq!(buffer.blocked_since(), Some(began));
        theirs.read_exact(&mut [0; 8]).await.unwrap();
        assert!(poll(&mut buffer).await.is_pending());
        assert_eq!(buffer.blocked_since(), Some(Instant::now()));
        theirs.read_exact(&mut [0; 16]).await.unwrap();
        assert!(poll(&mut buffer).await.is_ready());
        assert_eq!((buffer.blocked_since(), buffer.held.bytes()), (None, 0));
    }
}
