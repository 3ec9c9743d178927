use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use downlink::{Error, ErrorKind, Result};
use futures::FutureExt;
use futures::future::{BoxFuture, Fuse, FusedFuture};
use http::Request;
use http::response::Parts;
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
#[cfg(feature = "websocket")]
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::connector::IoStream;
use super::failure::Failure;

/// How much of the body of a refusal is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// The longest head of an answer, and how much is read at a time, in bytes.
const MAX_READ_BYTES: usize = 64 << 10;

/// One HTTP/1.1 connection: sends requests one after the other and reads their
/// answers. It has no task of its own; dropping it closes the connection.
pub(super) struct HttpConnection {
    connection: Fuse<BoxFuture<'static, hyper::Result<()>>>,
    sender: SendRequest<Empty<Bytes>>,
    body: Option<Incoming>,
}

impl HttpConnection {
    pub(super) async fn handshake(io: Box<dyn IoStream>) -> Result<Self, Failure> {
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_READ_BYTES);
        let (sender, connection) = http.handshake(TokioIo::new(io)).await.map_err(broken)?;
        Ok(Self { connection: connection.with_upgrades().boxed().fuse(), sender, body: None })
    }

    /// Sends a request and waits for the head of the answer. The previous answer
    /// must have been read to its end.
    ///
    /// # Cancel safety
    ///
    /// The connection cannot be used after the future is dropped.
    pub(super) async fn send(&mut self, request: Request<Empty<Bytes>>) -> Result<Parts, Failure> {
        self.answer(request).await.map_err(broken)
    }

    async fn answer(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Parts> {
        poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        })
        .await?;
        let mut answer = std::pin::pin!(self.sender.send_request(request));
        let answer = poll_fn(|cx| {
            if let answered @ Poll::Ready(_) = answer.as_mut().poll(cx) {
                return answered;
            }
            self.drive(cx);
            answer.as_mut().poll(cx)
        });
        let (parts, body) = answer.await?.into_parts();
        self.body = Some(body);
        Ok(parts)
    }

    /// Drives the connection. Its error is returned with the answer, too.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.connection.is_terminated() {
            let _ = self.connection.poll_unpin(cx);
        }
    }

    /// Returns the underlying stream after an answer that switches protocols.
    #[cfg(feature = "websocket")]
    pub(super) async fn upgraded(mut self, answer: &mut Parts) -> Result<Upgraded, Failure> {
        let upgrade = answer.extensions.remove::<OnUpgrade>();
        let mut upgrade =
            upgrade.ok_or_else(|| Failure::unavailable("the connection was not upgraded"))?;
        poll_fn(|cx| {
            self.drive(cx);
            upgrade.poll_unpin(cx)
        })
        .await
        .map_err(broken)
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Cancel safety
    ///
    /// No bytes are lost.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = poll_fn(|cx| {
                let Some(body) = &mut self.body else { return Poll::Ready(None) };
                let frame = Pin::new(body).poll_frame(cx);
                if frame.is_ready() {
                    return frame;
                }
                self.drive(cx);
                let Some(body) = &mut self.body else { return Poll::Ready(None) };
                Pin::new(body).poll_frame(cx)
            });
            let frame = frame.await.transpose().map_err(|error| {
                let message = format!("the connection broke: {error}");
                Error::with_source(ErrorKind::Unavailable, message, error)
            })?;
            match frame.map(http_body::Frame::into_data) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Reads the whole body. No chunk of it may take longer than `deadline`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) above `limit` bytes,
    /// [`Unavailable`](ErrorKind::Unavailable) if the connection breaks.
    #[cfg(feature = "long-poll")]
    pub(super) async fn body(&mut self, limit: usize, deadline: Duration) -> Result<Bytes> {
        let mut whole = bytes::BytesMut::new();
        loop {
            let chunk = timeout(deadline, self.chunk()).await.map_err(|_| {
                let message = format!("the answer stalled for {deadline:?}");
                Error::new(ErrorKind::Unavailable, message)
            })?;
            let Some(chunk) = chunk? else { return Ok(whole.freeze()) };
            if whole.len() + chunk.len() > limit {
                let message = format!(
                    "an answer is longer than {limit} bytes: raise the client's event limit"
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            whole.extend_from_slice(&chunk);
        }
    }

    /// Reads the body of a refusal, or as much of it as arrives in time.
    pub(super) async fn refusal_body(&mut self, deadline: Duration) -> Vec<u8> {
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = self.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() > MAX_REFUSAL_BYTES {
                    break;
                }
            }
        };
        // Part of a reason is better than no reason.
        let _ = timeout(deadline, read).await;
        body
    }
}

/// Waits for an answer until the deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout(deadline, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(Failure::unavailable(format!("no answer after {deadline:?}")).allow_fallback())
        }
    }
}

fn broken(error: hyper::Error) -> Failure {
    Failure::unavailable_with_source("the connection ended before the answer", error)
        .allow_fallback()
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection").field("body", &self.body).finish_non_exhaustive()
    }
}
