use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use downlink::BoxError;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long a body may stall by default.
pub(crate) const STALL_DEADLINE: Duration = Duration::from_secs(20);

/// The whole body may take this many times as long, and a second longer for each
/// [`BYTES_PER_SECOND`] received.
const TOTAL_FACTOR: u32 = 3;
const BYTES_PER_SECOND: u64 = 16 << 10;

/// A body that fails with [`Stalled`] if it stalls or is too slow. Only the time in
/// which a reader waits for it counts.
pub(crate) struct StallTimeout<B, F> {
    body: B,
    deadline: Duration,
    on_stall: F,
    received: u64,
    waited: Duration,
    /// The start of the current wait, and its timeout.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B, F: FnMut()> StallTimeout<B, F> {
    /// Calls `on_stall` before the body fails.
    pub(crate) fn new(body: B, deadline: Duration, on_stall: F) -> Self {
        Self { body, deadline, on_stall, received: 0, waited: Duration::ZERO, waiting: None }
    }

    /// Waits until the body has stalled.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        let total =
            self.deadline * TOTAL_FACTOR + Duration::from_secs(self.received / BYTES_PER_SECOND);
        let timeout = self.deadline.min(total.saturating_sub(self.waited));
        let now = || (Instant::now(), Box::pin(sleep(timeout)));
        let (_, timer) = self.waiting.get_or_insert_with(now);
        ready!(timer.as_mut().poll(cx));
        (self.on_stall)();
        Poll::Ready(Stalled(self.deadline))
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
            return self.poll_stalled(cx).map(|stalled| Some(Err(stalled.into())));
        };
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.received += u64::try_from(data.remaining()).unwrap_or(u64::MAX);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error of a body that stalled or was too slow.
#[derive(Debug)]
pub(crate) struct Stalled(Duration);

impl Stalled {
    /// Finds this error in the chain of sources of an error.
    pub(crate) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |&error| error.source())
            .find_map(<dyn Error>::downcast_ref)
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (deadline, total) = (self.0, self.0 * TOTAL_FACTOR);
        write!(
            f,
            "no bytes of the body arrived for {deadline:?}, or fewer than {BYTES_PER_SECOND} per second \
             for more than {total:?}: send it without a break"
        )
    }
}

impl Error for Stalled {}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

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
