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

use super::connector::Wire;
use super::failure::Failure;

/// The most of a refusal that is read, in bytes.
const LONGEST_REFUSAL: usize = 64 << 10;

/// One connection: requests one after the other, and their answers as they
/// come. Everything happens in the task that asks; dropping it closes the
/// connection.
pub(super) struct Exchange {
    connection: Fuse<BoxFuture<'static, hyper::Result<()>>>,
    sender: SendRequest<Empty<Bytes>>,
    body: Option<Incoming>,
}

impl Exchange {
    pub(super) async fn over(wire: Box<dyn Wire>) -> Result<Self, Failure> {
        let (sender, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(broke)?;
        Ok(Self { connection: connection.with_upgrades().boxed().fuse(), sender, body: None })
    }

    /// Asks, once the answer before was read to its end, and waits for the head
    /// of the answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing sensible follows a dropped future.
    pub(super) async fn ask(&mut self, request: Request<Empty<Bytes>>) -> Result<Parts, Failure> {
        self.answer(request).await.map_err(broke)
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

    /// Lets the connection work. Its error comes out of the answer, too.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.connection.is_terminated() {
            let _ = self.connection.poll_unpin(cx);
        }
    }

    /// What the connection is after an answer that switches to another
    /// protocol.
    #[cfg(feature = "websocket")]
    pub(super) async fn upgraded(mut self, answer: &mut Parts) -> Result<Upgraded, Failure> {
        let upgrade = answer.extensions.remove::<OnUpgrade>();
        let mut upgrade = upgrade.ok_or_else(|| Failure::late("the connection stays as it is"))?;
        poll_fn(|cx| {
            self.drive(cx);
            upgrade.poll_unpin(cx)
        })
        .await
        .map_err(broke)
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

    /// The whole body, of which no part may take longer than `deadline`.
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
                let message = format!("the answer did not go on for {deadline:?}");
                Error::new(ErrorKind::Unavailable, message)
            })?;
            let Some(chunk) = chunk? else { return Ok(whole.freeze()) };
            if whole.len() + chunk.len() > limit {
                let message = format!(
                    "an answer is longer than {limit} bytes: raise the limit of the client"
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            whole.extend_from_slice(&chunk);
        }
    }

    /// As much of the body as explains a refusal.
    pub(super) async fn explanation(&mut self, deadline: Duration) -> Vec<u8> {
        let mut text = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = self.chunk().await {
                text.extend_from_slice(&chunk);
                if text.len() > LONGEST_REFUSAL {
                    break;
                }
            }
        };
        // Half an explanation is better than none.
        let _ = timeout(deadline, read).await;
        text
    }
}

/// Waits for an answer, or no longer.
pub(super) async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout(deadline, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::late(format!("no answer after {deadline:?}")).of_the_transport()),
    }
}

fn broke(error: hyper::Error) -> Failure {
    Failure::passing("the connection ended before the answer", error).of_the_transport()
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("body", &self.body).finish_non_exhaustive()
    }
}
