use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::discard::{Discard, Discarded};
use super::fate::{Fate, Phase};
use super::linger;
use super::watched::Watched;

/// The bodies of one connection's requests, of which the last one counts: HTTP
/// reads no request before the one ahead of it was read.
///
/// What a handler leaves of a body is read to its end while the answer is
/// written. Senders that write everything before they read get to reading, and
/// the connection can be kept.
#[derive(Debug)]
pub(super) struct Bodies {
    discard: Discard,
    drain: CancellationToken,
    /// `None` if the last request had no body.
    last: Mutex<Option<Arc<Fate>>>,
}

impl Bodies {
    pub(super) fn new(discard: Discard, drain: CancellationToken) -> Arc<Self> {
        Arc::new(Self { discard, drain, last: Mutex::default() })
    }

    /// The next request, with a body whose fate is known, if it has one.
    pub(super) fn watch<B>(
        self: &Arc<Self>,
        request: Request<B>,
    ) -> (Request<Watched<B>>, Option<Arc<Fate>>)
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let fate = (!request.body().is_end_stream()).then(|| Arc::new(Fate::new()));
        self.last().clone_from(&fate);
        (Watched::of(request, fate.clone(), self), fate)
    }

    /// What became of the last one, once the connection has ended.
    pub(super) async fn end(&self) -> Phase {
        let last = self.last().take();
        match last {
            Some(fate) => fate.settled().await,
            None => Phase::Read,
        }
    }

    /// Closes the connection's socket slowly, so that its peer gets its answer.
    pub(super) async fn linger<T: AsyncRead + AsyncWrite + Unpin>(&self, socket: T) -> Discarded {
        linger::close(socket, self.discard, &self.drain).await
    }

    /// Takes over a body that was dropped before its end.
    pub(super) fn take_over<B>(&self, body: B, fate: Arc<Fate>)
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        // More is announced than is read: the sender learns sooner from the end.
        let is_too_large = body.size_hint().lower() > self.discard.bytes;
        match Handle::try_current() {
            Ok(runtime) if !is_too_large => {
                fate.set(Phase::Discarded);
                runtime.spawn(discard(self.discard, self.drain.clone(), body, fate));
            }
            _ => fate.set(Phase::Left),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<Fate>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn discard<B>(bounds: Discard, drain: CancellationToken, mut body: B, fate: Arc<Fate>)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut is_broken = false;
    let next = |cx: &mut Context<'_>| {
        let frame = ready!(Pin::new(&mut body).poll_frame(cx));
        is_broken = matches!(frame, Some(Err(_)));
        let frame = frame.and_then(Result::ok);
        Poll::Ready(frame.map(|frame| frame.data_ref().map_or(0, Bytes::len)))
    };
    let discarded = bounds.run(&drain, next).await;
    // Said before the body is dropped, at which its connection may end.
    fate.set(match discarded {
        Discarded::All if is_broken => Phase::Left,
        Discarded::All => Phase::Read,
        Discarded::UpToTheBounds => Phase::GivenUp,
    });
    drop(body);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use downlink::BoxError;
    use futures::{StreamExt, stream};
    use http_body::Frame;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    fn bodies() -> Arc<Bodies> {
        let bounds = Discard { bytes: 100, silence: Duration::from_secs(5) };
        Bodies::new(bounds, CancellationToken::new())
    }

    fn pieces(
        pieces: Vec<Result<&'static str, &'static str>>,
    ) -> impl Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static {
        let frame = |piece: Result<&'static str, _>| match piece {
            Ok(data) => Ok(Frame::data(Bytes::from(data))),
            Err(error) => Err(BoxError::from(error)),
        };
        StreamBody::new(stream::iter(pieces).map(frame))
    }

    async fn end_of_dropped<B>(body: B) -> Phase
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let bodies = bodies();
        drop(bodies.watch(Request::new(body)));
        bodies.end().await
    }

    #[tokio::test]
    async fn what_a_handler_leaves_is_read_to_its_end() {
        assert_eq!(end_of_dropped(pieces(vec![Ok("one"), Ok("two")])).await, Phase::Read);
        assert_eq!(end_of_dropped(Full::from("one")).await, Phase::Read);
        assert_eq!(end_of_dropped(Full::<Bytes>::default()).await, Phase::Read);
    }

    #[tokio::test]
    async fn what_cannot_be_read_to_its_end_is_left_or_given_up() {
        assert_eq!(end_of_dropped(pieces(vec![Ok("one"), Err("broken")])).await, Phase::Left);
        assert_eq!(end_of_dropped(Full::from(vec![0; 101])).await, Phase::Left);
        let endless = StreamBody::new(stream::repeat_with(|| {
            Ok::<_, BoxError>(Frame::data(Bytes::from("more")))
        }));
        assert_eq!(end_of_dropped(endless).await, Phase::GivenUp);
    }

    #[tokio::test]
    async fn what_a_handler_has_read_is_not_read_again() {
        let bodies = bodies();
        let (request, fate) = bodies.watch(Request::new(pieces(vec![Ok("one"), Ok("two")])));
        assert_eq!(fate.unwrap().phase(), Phase::Handled);
        request.into_body().collect().await.unwrap();
        assert_eq!(bodies.end().await, Phase::Read);

        let (request, _) = bodies.watch(Request::new(pieces(vec![Err("broken")])));
        request.into_body().collect().await.unwrap_err();
        assert_eq!(bodies.end().await, Phase::Left);
    }

    #[tokio::test]
    async fn a_sender_that_waits_to_be_asked_is_asked_by_handlers_only() {
        let bodies = bodies();
        let ask = || -> Result<Frame<Bytes>, BoxError> { panic!("the body was asked for") };
        let unread = StreamBody::new(stream::repeat_with(ask));
        let mut request = Request::new(unread);
        let expect = http::HeaderValue::from_static("100-continue");
        request.headers_mut().insert(http::header::EXPECT, expect);
        drop(bodies.watch(request));
        assert_eq!(bodies.end().await, Phase::Left);
    }

    #[tokio::test]
    async fn the_body_of_the_last_request_counts() {
        let bodies = bodies();
        let (first, fate) = bodies.watch(Request::new(Full::from("one")));
        drop(bodies.watch(Request::new(Full::<Bytes>::default())));
        drop(first);
        assert_eq!(bodies.end().await, Phase::Read);
        assert_eq!(fate.unwrap().settled().await, Phase::Read);
    }
}
