use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Fuse, FusedFuture};
use http::Request;
use http::response::Parts;
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::failure::Failure;
use super::request::Target;

/// The most of a refusal that is read, in bytes.
const LONGEST_REFUSAL: usize = 64 << 10;

/// One request, and its answer as it comes. Everything happens in the task
/// that asks; dropping it closes the connection.
pub(super) struct Exchange {
    connection: Fuse<BoxFuture<'static, hyper::Result<()>>>,
    body: Incoming,
}

impl Exchange {
    pub(super) async fn open(
        target: &Target,
        request: Request<Empty<Bytes>>,
        connect_deadline: Duration,
        answer_deadline: Duration,
    ) -> Result<(Parts, Self), Failure> {
        let connect = TcpStream::connect((&*target.host, target.port));
        let stream = timeout(connect_deadline, connect)
            .await
            .map_err(|_| Failure::late(format!("no connection after {connect_deadline:?}")))?
            .map_err(|error| {
                Failure::passing(format!("no connection to {}", target.authority), error)
            })?;
        // Only latency is lost without it.
        let _ = stream.set_nodelay(true);
        timeout(answer_deadline, Self::ask(stream, request))
            .await
            .map_err(|_| Failure::late(format!("no answer after {answer_deadline:?}")))?
            .map_err(|error| Failure::passing("the connection ended before the answer", error))
    }

    async fn ask(
        stream: TcpStream,
        request: Request<Empty<Bytes>>,
    ) -> hyper::Result<(Parts, Self)> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut connection = connection.boxed().fuse();
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        let (parts, body) = poll_fn(|cx| {
            let answered = answer.as_mut().poll(cx);
            if answered.is_pending() && !connection.is_terminated() {
                // Its error comes out of the answer, too.
                let _ = connection.poll_unpin(cx);
                return answer.as_mut().poll(cx);
            }
            answered
        })
        .await?
        .into_parts();
        Ok((parts, Self { connection, body }))
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Cancel safety
    ///
    /// No bytes are lost.
    pub(super) async fn chunk(&mut self) -> hyper::Result<Option<Bytes>> {
        loop {
            let frame = poll_fn(|cx| {
                let mut body = Pin::new(&mut self.body);
                let frame = body.as_mut().poll_frame(cx);
                if frame.is_pending() && !self.connection.is_terminated() {
                    let _ = self.connection.poll_unpin(cx);
                    return body.poll_frame(cx);
                }
                frame
            });
            match frame.await.transpose()?.map(http_body::Frame::into_data) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
                None => return Ok(None),
            }
        }
    }

    /// As much of the body as explains a refusal.
    pub(super) async fn explanation(mut self, deadline: Duration) -> Vec<u8> {
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

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("body", &self.body).finish_non_exhaustive()
    }
}
