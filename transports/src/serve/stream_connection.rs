use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::connections::Connections;
use super::handover::HandedOver;
use super::lingering_close::lingering_close;
use super::liveness::Verdict;
use super::response_body::ResponseBody;
use super::response_head;
use super::socket::Socket;
use super::stats::count;
use super::stream_writer::{StreamEnd, StreamWriter};
use super::watched::Watched;

/// How hyper's part of a connection ended.
pub(super) enum HttpEnd {
    Closed(hyper::Result<()>),
    /// hyper has written the responses before this one.
    HandedOver(Box<HandedOver>),
}

impl HttpEnd {
    /// How the connection ended, if no response was handed over.
    pub(super) fn closed(self) -> hyper::Result<()> {
        match self {
            Self::Closed(ended) => ended,
            // Only a connection that still is HTTP hands over.
            Self::HandedOver(_) => Ok(()),
        }
    }
}

/// Polls hyper's connection until it ends, or until a response is handed over.
pub(super) async fn run_http<C>(watched: &Watched, connection: &mut C) -> Result<HttpEnd, Verdict>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    let handover = &watched.exchange.handover;
    let mut http = std::future::poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(ended) => {
            drop(handover.take());
            Poll::Ready(HttpEnd::Closed(ended))
        }
        Poll::Pending => match handover.take_if_flushed() {
            Some(response) => Poll::Ready(HttpEnd::HandedOver(response)),
            None => Poll::Pending,
        },
    });
    watched.run(&mut http).await
}

impl Connections {
    /// Writes a response to the socket that hyper has left, and closes it.
    pub(super) async fn stream(&self, peer: SocketAddr, socket: Socket, response: Box<HandedOver>) {
        let watched = Arc::clone(socket.watched());
        let mut writer = writer_of(&watched, *response);
        let guard = ResetIfDropped(&watched);
        let ended = watched.run(&mut writer).await;
        std::mem::forget(guard);
        drop(writer);
        match ended {
            Ok(StreamEnd::Complete) => {
                // What it sent meanwhile would reset the connection, and the end of the
                // stream would be lost.
                watched.exchange.flushed();
                drop(watched);
                let closed = lingering_close(socket, self.discard_limits, &self.drain);
                // A client that does not close is not counted: it has what it asked for.
                if Box::pin(self.abort.run_until_cancelled(closed)).await.is_none() {
                    count(&self.counters.aborted);
                }
            }
            Ok(StreamEnd::Failed(error)) => {
                tracing::debug!(%peer, %error, "the body of a response failed: its connection is reset");
                watched.reset_on_close();
            }
            Ok(StreamEnd::Unreachable(error)) => {
                tracing::debug!(%peer, %error, "the client of a stream cannot be reached");
            }
            Ok(StreamEnd::ClientGone) => {}
            Err(verdict) => self.count_verdict(peer, verdict),
        }
    }
}

/// Resets the connection if the body panics, or else its client would take what it has
/// for everything.
struct ResetIfDropped<'a>(&'a Watched);

impl Drop for ResetIfDropped<'_> {
    fn drop(&mut self) {
        self.0.reset_on_close();
    }
}

fn writer_of(watched: &Watched, response: HandedOver) -> StreamWriter<'_> {
    let HandedOver { response, permit } = response;
    let (head, body) = response.into_parts();
    let body = ResponseBody::new(body, Arc::clone(&watched.exchange), permit);
    StreamWriter::new(watched, response_head::render(&head.headers), body)
}
