use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{EXPECT, HeaderMap};
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};

use super::bodies::Bodies;
use super::fate::{Fate, Phase};

/// The body of a request, whose [fate](Fate) is known also when it is dropped
/// before its end.
pub(super) struct Watched<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// Taken when this is dropped.
    body: Option<B>,
    /// Whether its sender waits for it to be read.
    is_expected: bool,
    /// `None` if there is nothing to read.
    fate: Option<Arc<Fate>>,
    bodies: Arc<Bodies>,
}

impl<B> Watched<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    pub(super) fn of(
        request: Request<B>,
        fate: Option<Arc<Fate>>,
        bodies: &Arc<Bodies>,
    ) -> Request<Self> {
        let is_expected = request.version() > Version::HTTP_10 && expects(request.headers());
        let bodies = Arc::clone(bodies);
        request.map(|body| Self { body: Some(body), is_expected, fate, bodies })
    }

    fn ended(&self, phase: Phase) {
        // A body that came to a halt is not read any more, even if it goes on.
        if let Some(fate) = self.fate.as_ref().filter(|fate| fate.phase() == Phase::Handled) {
            fate.set(phase);
        }
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.is_expected = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if let Some(Err(_)) = frame {
            self.ended(Phase::Left);
        } else if frame.is_none() || self.is_end_stream() {
            self.ended(Phase::Read);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<B> Drop for Watched<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let (Some(body), Some(fate)) = (self.body.take(), self.fate.take()) else { return };
        if fate.phase() != Phase::Handled {
            return;
        }
        if self.is_expected {
            // Reading it would ask for it.
            fate.set(Phase::Left);
        } else {
            self.bodies.take_over(body, fate);
        }
    }
}

/// Whether the sender waits for `100 Continue`.
fn expects(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
