use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use downlink::budget::ByteBudget;
use http::Request;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::body_progress::{BodyProgress, BodyState};
use super::discard::{DiscardLimits, DiscardOutcome};
use super::exchange::Exchange;
use super::lingering_close::lingering_close;
use super::tracked_body::{TrackedBody, Tracking};

/// The request bodies of one connection. Only the last one matters, because HTTP
/// reads no request before the previous one was read.
///
/// What a handler does not read of a body is discarded while the response is
/// written. So clients that write everything before they read get their
/// response, and the connection can be kept.
#[derive(Debug)]
pub(super) struct RequestBodies {
    limits: DiscardLimits,
    drain: CancellationToken,
    budget: ByteBudget,
    exchange: Arc<Exchange>,
    /// `None` if the last request had no body.
    last: Mutex<Option<Arc<BodyProgress>>>,
}

impl RequestBodies {
    pub(super) fn new(
        limits: DiscardLimits,
        drain: CancellationToken,
        budget: ByteBudget,
        exchange: Arc<Exchange>,
    ) -> Arc<Self> {
        Arc::new(Self { limits, drain, budget, exchange, last: Mutex::default() })
    }

    /// Tracks the body of the next request. The progress is `None` if it has none.
    pub(super) fn track<B>(
        &self,
        request: Request<B>,
    ) -> (Request<TrackedBody<B>>, Option<Arc<BodyProgress>>)
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let progress = if request.body().is_end_stream() {
            self.exchange.requested(false);
            None
        } else {
            let (budget, exchange) = (self.budget.clone(), Arc::clone(&self.exchange));
            Some(Arc::new(BodyProgress::new(budget, exchange)))
        };
        self.last().clone_from(&progress);
        let tracking = progress.clone().map(|progress| Tracking {
            progress,
            limits: self.limits,
            drain: self.drain.clone(),
        });
        (TrackedBody::of(request, tracking), progress)
    }

    /// The final state of the last body, once the connection has ended.
    pub(super) async fn last_state(&self) -> BodyState {
        let last = self.last().take();
        match last {
            Some(progress) => progress.settled().await,
            None => BodyState::Complete,
        }
    }

    /// Closes the connection's socket so that its peer can read the response.
    pub(super) async fn lingering_close<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: T,
    ) -> DiscardOutcome {
        lingering_close(socket, self.limits, &self.drain).await
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<BodyProgress>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use downlink::BoxError;
    use futures::{StreamExt, stream};
    use http_body::Frame;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    fn bodies() -> Arc<RequestBodies> {
        let limits = DiscardLimits { bytes: 100, timeout: Duration::from_secs(5) };
        let exchange = Arc::new(Exchange::new());
        RequestBodies::new(limits, CancellationToken::new(), ByteBudget::new(1_000), exchange)
    }

    fn chunks(
        chunks: Vec<Result<&'static str, &'static str>>,
    ) -> impl Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static {
        let frame = |chunk: Result<&'static str, _>| match chunk {
            Ok(data) => Ok(Frame::data(Bytes::from(data))),
            Err(error) => Err(BoxError::from(error)),
        };
        StreamBody::new(stream::iter(chunks).map(frame))
    }

    async fn state_of_dropped<B>(body: B) -> BodyState
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let bodies = bodies();
        drop(bodies.track(Request::new(body)));
        bodies.last_state().await
    }

    #[tokio::test]
    async fn what_a_handler_does_not_read_is_discarded() {
        assert_eq!(state_of_dropped(chunks(vec![Ok("one"), Ok("two")])).await, BodyState::Complete);
        assert_eq!(state_of_dropped(Full::from("one")).await, BodyState::Complete);
        assert_eq!(state_of_dropped(Full::<Bytes>::default()).await, BodyState::Complete);
    }

    #[tokio::test]
    async fn bytes_count_as_long_as_a_handler_keeps_them() {
        let bodies = bodies();
        let large: &'static str = Box::leak("x".repeat(600).into_boxed_str());
        let (request, progress) =
            bodies.track(Request::new(chunks(vec![Ok(large), Ok(large), Ok(large)])));
        let mut body = request.into_body();
        let mut next = async || body.frame().await.unwrap().map(|frame| frame.into_data().unwrap());
        drop(next().await.unwrap());
        assert_eq!(bodies.budget.used(), 0);
        let kept = next().await.unwrap();
        assert_eq!((&kept[..], bodies.budget.used()), (large.as_bytes(), 600));
        next().await.unwrap_err();
        assert!(progress.unwrap().is_refused());
        drop(kept);
        assert_eq!(bodies.budget.used(), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_read_to_its_end_is_abandoned_or_over_the_limit() {
        assert_eq!(
            state_of_dropped(chunks(vec![Ok("one"), Err("broken")])).await,
            BodyState::Abandoned
        );
        assert_eq!(state_of_dropped(Full::from(vec![0; 101])).await, BodyState::Abandoned);
        let endless = StreamBody::new(stream::repeat_with(|| {
            Ok::<_, BoxError>(Frame::data(Bytes::from("more")))
        }));
        assert_eq!(state_of_dropped(endless).await, BodyState::OverLimit);
    }

    #[tokio::test]
    async fn what_a_handler_has_read_is_not_discarded() {
        let bodies = bodies();
        let (request, progress) = bodies.track(Request::new(chunks(vec![Ok("one"), Ok("two")])));
        assert_eq!(progress.unwrap().state(), BodyState::InHandler);
        request.into_body().collect().await.unwrap();
        assert_eq!(bodies.last_state().await, BodyState::Complete);

        let (request, _) = bodies.track(Request::new(chunks(vec![Err("broken")])));
        request.into_body().collect().await.unwrap_err();
        assert_eq!(bodies.last_state().await, BodyState::Abandoned);
    }

    #[tokio::test]
    async fn discarding_does_not_send_100_continue() {
        let bodies = bodies();
        let poll = || -> Result<Frame<Bytes>, BoxError> { panic!("the body was polled") };
        let unread = StreamBody::new(stream::repeat_with(poll));
        let mut request = Request::new(unread);
        let expect = http::HeaderValue::from_static("100-continue");
        request.headers_mut().insert(http::header::EXPECT, expect);
        drop(bodies.track(request));
        assert_eq!(bodies.last_state().await, BodyState::Abandoned);
    }

    #[tokio::test]
    async fn only_the_body_of_the_last_request_matters() {
        let bodies = bodies();
        let (first, progress) = bodies.track(Request::new(Full::from("one")));
        drop(bodies.track(Request::new(Full::<Bytes>::default())));
        drop(first);
        assert_eq!(bodies.last_state().await, BodyState::Complete);
        assert_eq!(progress.unwrap().settled().await, BodyState::Complete);
    }
}
