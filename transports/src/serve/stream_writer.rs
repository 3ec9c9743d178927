use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::HttpBody;
use bytes::{Buf, Bytes};
use tokio::net::TcpStream;

use super::response_body::ResponseBody;
use super::watched::Watched;

/// The most that is written with one call, and held for a peer that does not read:
/// this many chunks, and no more after this many bytes.
const MAX_CHUNKS: usize = 16;
const MAX_BYTES: usize = 48 << 10;

/// How many bytes of a client are discarded at a time, and as long as its stream lasts.
/// It has nothing to say, but may have sent other requests already.
const SCRATCH: usize = 1 << 10;
const MAX_DISCARDED: usize = 1 << 20;

/// Writes the body of a response to a socket, until the body ends or the client closes
/// the connection.
///
/// The body is polled only when everything before was written. Nothing is held while
/// the body is idle.
pub(super) struct StreamWriter<'a> {
    watched: &'a Watched,
    /// `None` once it waits to be written.
    head: Option<Bytes>,
    body: ResponseBody,
    unwritten: VecDeque<Bytes>,
    /// How the body ended, which counts once everything was written.
    end: Option<StreamEnd>,
    /// How many bytes of the client were discarded.
    discarded: usize,
}

/// How a stream ended.
#[derive(Debug)]
pub(super) enum StreamEnd {
    /// The body ended, and was written.
    Complete,
    /// The body failed: the client must not take what it has for everything.
    Failed(axum::Error),
    /// The client has closed the connection, or its half of it.
    ClientGone,
    /// The client cannot be reached.
    Unreachable(io::Error),
}

impl<'a> StreamWriter<'a> {
    /// Writes the head together with what the body has at once.
    pub(super) fn new(watched: &'a Watched, head: Bytes, body: ResponseBody) -> Self {
        Self {
            watched,
            head: Some(head),
            body,
            unwritten: VecDeque::new(),
            end: None,
            discarded: 0,
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<StreamEnd> {
        let mut is_body_idle = false;
        loop {
            if let Err(error) = ready!(self.poll_write(cx)) {
                return Poll::Ready(StreamEnd::Unreachable(error));
            }
            if let Some(end) = self.end.take() {
                return Poll::Ready(end);
            }
            if is_body_idle {
                self.unwritten = VecDeque::new();
                return Poll::Pending;
            }
            is_body_idle = self.fill(cx).is_pending();
        }
    }

    /// Takes chunks of the body until it is pending, has ended, or there are enough.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.unwritten.extend(self.head.take());
        let mut bytes = 0;
        // Counted even if they are empty.
        for _ in self.unwritten.len()..MAX_CHUNKS {
            if bytes >= MAX_BYTES {
                break;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers have no place behind a body without chunks.
                    let chunk = frame.into_data().unwrap_or_default();
                    bytes += chunk.len();
                    self.unwritten.extend((!chunk.is_empty()).then_some(chunk));
                }
                Some(Err(error)) => return self.ended(StreamEnd::Failed(error)),
                None => return self.ended(StreamEnd::Complete),
            }
        }
        Poll::Ready(())
    }

    fn ended(&mut self, end: StreamEnd) -> Poll<()> {
        self.end = Some(end);
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let unwritten = &self.unwritten;
            let write = |stream: &TcpStream| write_some(stream, unwritten);
            let written = ready!(self.watched.poll_write_with(cx, write))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(chunk) = self.unwritten.front_mut() {
            if written < chunk.len() {
                return chunk.advance(written);
            }
            written -= chunk.len();
            self.unwritten.pop_front();
        }
    }

    /// Discards what the client sends, until it sends no more.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<StreamEnd> {
        loop {
            let read = |stream: &TcpStream| stream.try_read(&mut [0; SCRATCH]);
            match ready!(self.watched.poll_read_with(cx, read)) {
                Ok(0) => return Poll::Ready(StreamEnd::ClientGone),
                Ok(read) => self.discarded += read,
                Err(error) => return Poll::Ready(StreamEnd::Unreachable(error)),
            }
            if self.discarded > MAX_DISCARDED {
                let error = io::Error::other("the client of a stream sends without end");
                return Poll::Ready(StreamEnd::Unreachable(error));
            }
        }
    }
}

/// Writes as much of these chunks as the kernel takes.
fn write_some(stream: &TcpStream, chunks: &VecDeque<Bytes>) -> io::Result<usize> {
    if let (1, Some(only)) = (chunks.len(), chunks.front()) {
        return stream.try_write(only);
    }
    let mut slices = [IoSlice::new(&[]); MAX_CHUNKS];
    for (slice, chunk) in slices.iter_mut().zip(chunks) {
        *slice = IoSlice::new(chunk);
    }
    stream.try_write_vectored(&slices[..chunks.len().min(MAX_CHUNKS)])
}

impl Future for StreamWriter<'_> {
    type Output = StreamEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<StreamEnd> {
        match self.poll_stream(cx) {
            Poll::Pending => self.poll_client(cx),
            ended @ Poll::Ready(_) => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::body::Body;
    use futures::{poll, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    const CHUNK: usize = 16 << 10;

    /// A client, and the server's end of its connection.
    async fn connection() -> (TcpStream, Watched) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Watched::new(listener.accept().await.unwrap().0))
    }

    #[tokio::test]
    async fn a_client_that_sends_no_more_ends_its_stream() {
        let (mut client, watched) = connection().await;
        let idle = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let body = ResponseBody::new(idle, watched.exchange.clone(), None);
        let mut writer = StreamWriter::new(&watched, Bytes::from_static(b"head"), body);
        client.write_all(&[0; 10 * SCRATCH]).await.unwrap();
        assert!(poll!(&mut writer).is_pending());
        client.shutdown().await.unwrap();
        let end = timeout(Duration::from_secs(30), writer).await.unwrap();
        assert!(matches!(end, StreamEnd::ClientGone), "{end:?}");
    }

    #[tokio::test]
    async fn a_client_that_sends_without_end_ends_its_stream() {
        let (mut client, watched) = connection().await;
        let idle = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let body = ResponseBody::new(idle, watched.exchange.clone(), None);
        let writer = StreamWriter::new(&watched, Bytes::from_static(b"head"), body);
        // Fails when the stream has ended.
        let sending = async { while client.write_all(&[0; CHUNK]).await.is_ok() {} };
        let end = tokio::select! {
            end = timeout(Duration::from_secs(30), writer) => end.unwrap(),
            () = sending => panic!("the connection ended before its stream"),
        };
        assert!(matches!(end, StreamEnd::Unreachable(_)), "{end:?}");
    }

    #[tokio::test]
    async fn a_body_is_not_polled_while_its_client_does_not_read() {
        let (mut client, watched) = connection().await;
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let chunks = stream::repeat_with(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; CHUNK]))
        });
        let body = ResponseBody::new(Body::from_stream(chunks), watched.exchange.clone(), None);
        let mut writer = StreamWriter::new(&watched, Bytes::from_static(b"head"), body);
        let mut idle_polls = 0;
        while idle_polls < 10 {
            let before = taken.load(Ordering::Relaxed);
            assert!(poll!(&mut writer).is_pending());
            let is_idle = taken.load(Ordering::Relaxed) == before;
            idle_polls = if is_idle { idle_polls + 1 } else { 0 };
            yield_now().await;
        }
        let held: usize = writer.unwritten.iter().map(Bytes::len).sum();
        assert!(0 < held && held <= MAX_BYTES + CHUNK, "{held}");

        let before = taken.load(Ordering::Relaxed);
        let mut read = vec![0; CHUNK * before];
        let written = client.read(&mut read).await.unwrap();
        assert!(read.starts_with(b"headxxx") && read[4..written].iter().all(|&byte| byte == b'x'));
        let read_on = async {
            while taken.load(Ordering::Relaxed) == before {
                assert_ne!(client.read(&mut read).await.unwrap(), 0);
            }
        };
        tokio::select! {
            end = &mut writer => panic!("{end:?}"),
            () = read_on => {}
        }
    }
}
