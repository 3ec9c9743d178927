use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use downlink::BoxError;
use http::header::{EXPECT, HeaderMap};
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::body_progress::{BodyProgress, BodyState};
use super::discard::{DiscardLimits, DiscardOutcome};
use super::over_budget::OverBudget;

/// A request body whose [state](BodyState) is recorded. If it is dropped before
/// its end, the rest is discarded in a task.
pub(super) struct TrackedBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// Taken when this is dropped.
    body: Option<B>,
    /// Whether the client waits for `100 Continue`.
    awaits_continue: bool,
    /// `None` if the body is empty.
    tracking: Option<Tracking>,
}

/// Where a body records its state, and the limits of discarding it.
pub(super) struct Tracking {
    pub(super) progress: Arc<BodyProgress>,
    pub(super) limits: DiscardLimits,
    pub(super) drain: CancellationToken,
}

impl<B> TrackedBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    pub(super) fn of(request: Request<B>, tracking: Option<Tracking>) -> Request<Self> {
        let awaits_continue =
            request.version() > Version::HTTP_10 && expects_continue(request.headers());
        request.map(|body| Self { body: Some(body), awaits_continue, tracking })
    }

    fn ended(&self, state: BodyState) {
        let Some(Tracking { progress, .. }) = &self.tracking else { return };
        // A body that has stalled is not read any more, even if it continues.
        if progress.state() == BodyState::InHandler {
            progress.set(state);
        }
    }
}

impl<B> Body for TrackedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.awaits_continue = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if let Some(Err(_)) = frame {
            self.ended(BodyState::Abandoned);
        } else if frame.is_none() || self.is_end_stream() {
            self.ended(BodyState::Complete);
        }
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        };
        let Some(Tracking { progress, .. }) = &self.tracking else {
            return Poll::Ready(Some(Ok(frame)));
        };
        let held = match frame.into_data() {
            Ok(bytes) => progress.hold(bytes).map(Frame::data),
            Err(trailers) => Some(trailers),
        };
        Poll::Ready(Some(held.ok_or_else(|| OverBudget.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<B> Drop for TrackedBody<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let (Some(body), Some(tracking)) = (self.body.take(), self.tracking.take()) else { return };
        if tracking.progress.state() != BodyState::InHandler {
            return;
        }
        if self.awaits_continue {
            // Reading the body would send `100 Continue`.
            tracking.progress.set(BodyState::Abandoned);
        } else {
            tracking.discard(body);
        }
    }
}

impl Tracking {
    /// Discards the rest of a body in a task.
    fn discard<B>(self, body: B)
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        // If the declared length is over the limit, closing at once tells the client sooner.
        let is_too_large = body.size_hint().lower() > self.limits.bytes;
        match Handle::try_current() {
            Ok(runtime) if !is_too_large => {
                self.progress.set(BodyState::Discarding);
                runtime.spawn(self.read_to_end(body));
            }
            _ => self.progress.set(BodyState::Abandoned),
        }
    }

    async fn read_to_end<B>(self, mut body: B)
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut has_failed = false;
        let next = |cx: &mut Context<'_>| {
            let frame = ready!(Pin::new(&mut body).poll_frame(cx));
            has_failed = matches!(frame, Some(Err(_)));
            let frame = frame.and_then(Result::ok);
            Poll::Ready(frame.map(|frame| frame.data_ref().map_or(0, Bytes::len)))
        };
        let outcome = self.limits.run(&self.drain, next).await;
        // Before the body is dropped, because its connection may end then.
        self.progress.set(match outcome {
            DiscardOutcome::All if has_failed => BodyState::Abandoned,
            DiscardOutcome::All => BodyState::Complete,
            DiscardOutcome::LimitReached => BodyState::OverLimit,
        });
        drop(body);
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
