use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use downlink::BoxError;
use http_body::{Body, Frame, SizeHint};

use crate::stall_timer::StallTimer;
pub(crate) use crate::stall_timer::{STALL_DEADLINE, Stalled};

/// A body that fails with [`Stalled`] if it stalls or is too slow. Only the time in
/// which a reader waits for it counts.
pub(crate) struct StallTimeout<B, F> {
    body: B,
    timer: StallTimer,
    on_stall: F,
}

impl<B, F: FnMut()> StallTimeout<B, F> {
    /// Calls `on_stall` before the body fails.
    pub(crate) fn new(body: B, deadline: Duration, on_stall: F) -> Self {
        Self { body, timer: StallTimer::new(deadline), on_stall }
    }
}

impl<B, F> Body for StallTimeout<B, F>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    F: FnMut() + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let stalled = ready!(self.timer.poll_stalled(cx));
            (self.on_stall)();
            return Poll::Ready(Some(Err(stalled.into())));
        };
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.timer.received(data.map_or(0, Buf::remaining));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::sleep;

    use super::*;

    /// Reads `count` pieces of this many bytes, with a pause before each.
    async fn read(count: usize, bytes: usize, pause: u64) -> Result<usize, BoxError> {
        let pieces = stream::iter(0..count).then(|_| async move {
            sleep(Duration::from_secs(pause)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![0; bytes])))
        });
        let mut stalls = 0;
        let body =
            StallTimeout::new(StreamBody::new(Box::pin(pieces)), STALL_DEADLINE, || stalls += 1);
        let read = body.collect().await.map(|body| body.to_bytes().len());
        assert_eq!(stalls, usize::from(read.is_err()));
        read
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_forever() {
        assert_eq!(read(3, 1, 19).await.unwrap(), 3);
        assert_eq!(read(100, 160 << 10, 10).await.unwrap(), 100 * (160 << 10));
        assert!(Stalled::find(&*read(1, 1, 21).await.unwrap_err()).is_some(), "it stalled");
        assert!(Stalled::find(&*read(4, 1, 19).await.unwrap_err()).is_some(), "it never ends");
        assert!(
            Stalled::find(&*read(100, 80 << 10, 10).await.unwrap_err()).is_some(),
            "it is too slow"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_fast_is_no_credit_for_later() {
        let burst = stream::iter([16 << 20]).chain(stream::repeat(1).take(10));
        let pieces = burst.then(|bytes: usize| async move {
            sleep(Duration::from_secs(if bytes == 1 { 19 } else { 0 })).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![0; bytes])))
        });
        let body = StallTimeout::new(StreamBody::new(Box::pin(pieces)), STALL_DEADLINE, || ());
        assert!(Stalled::find(&*body.collect().await.unwrap_err()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_does_not_count() {
        let piece = |_| Ok::<_, BoxError>(Frame::data(Bytes::from("a")));
        let pieces = stream::iter((0..9).map(piece));
        let mut body = StallTimeout::new(StreamBody::new(pieces), STALL_DEADLINE, || {
            panic!("no reader waited")
        });
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            sleep(Duration::from_mins(10)).await;
        }
    }
}
