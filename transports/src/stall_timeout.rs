use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use downlink::BoxError;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long reading a body may make no progress, by default.
pub(crate) const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The whole body may take this many times the stall timeout, plus a second for
/// each `BYTES_PER_SECOND` received.
const TOTAL_FACTOR: u32 = 3;
const BYTES_PER_SECOND: u64 = 16 << 10;

/// A body that fails with [`Stalled`] if it makes no progress. Only the time
/// during which a reader waits for it counts.
pub(crate) struct StallTimeout<B, F> {
    body: B,
    timeout: Duration,
    on_stall: F,
    received: u64,
    waited: Duration,
    /// Since when nothing was received, and the timer of the stall.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B, F: FnMut()> StallTimeout<B, F> {
    /// Calls `on_stall` before the body fails.
    pub(crate) fn new(body: B, timeout: Duration, on_stall: F) -> Self {
        Self { body, timeout, on_stall, received: 0, waited: Duration::ZERO, waiting: None }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        let total =
            self.timeout * TOTAL_FACTOR + Duration::from_secs(self.received / BYTES_PER_SECOND);
        let limit = self.timeout.min(total.saturating_sub(self.waited));
        let now = || (Instant::now(), Box::pin(sleep(limit)));
        let (_, timer) = self.waiting.get_or_insert_with(now);
        ready!(timer.as_mut().poll(cx));
        (self.on_stall)();
        Poll::Ready(Stalled(self.timeout))
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
            return self.poll_stall(cx).map(|stalled| Some(Err(stalled.into())));
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
    /// Finds this error in `error` or its sources.
    pub(crate) fn find_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |&error| error.source())
            .find_map(<dyn Error>::downcast_ref)
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (timeout, total) = (self.0, self.0 * TOTAL_FACTOR);
        write!(
            f,
            "no byte of the body arrived for {timeout:?}, or fewer than {BYTES_PER_SECOND} bytes per \
             second for more than {total:?}: send the body without pauses"
        )
    }
}

impl Error for Stalled {}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// Reads `count` chunks of `bytes` bytes, with a pause in seconds before each.
    async fn read(count: usize, bytes: usize, pause: u64) -> Result<usize, BoxError> {
        let chunks = stream::iter(0..count).then(|_| async move {
            sleep(Duration::from_secs(pause)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![0; bytes])))
        });
        let mut stalls = 0;
        let body = StreamBody::new(Box::pin(chunks));
        let body = StallTimeout::new(body, DEFAULT_STALL_TIMEOUT, || stalls += 1);
        let read = body.collect().await.map(|body| body.to_bytes().len());
        assert_eq!(stalls, usize::from(read.is_err()));
        read
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_read_within_a_total_time() {
        assert_eq!(read(3, 1, 19).await.unwrap(), 3);
        assert_eq!(read(100, 160 << 10, 10).await.unwrap(), 100 * (160 << 10));
        assert!(Stalled::find_in(&*read(1, 1, 21).await.unwrap_err()).is_some(), "it stalled");
        assert!(Stalled::find_in(&*read(4, 1, 19).await.unwrap_err()).is_some(), "it never ends");
        assert!(
            Stalled::find_in(&*read(100, 80 << 10, 10).await.unwrap_err()).is_some(),
            "it is too slow"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_between_reads_does_not_count() {
        let chunk = |_| Ok::<_, BoxError>(Frame::data(Bytes::from("a")));
        let chunks = stream::iter((0..9).map(chunk));
        let mut body = StallTimeout::new(StreamBody::new(chunks), DEFAULT_STALL_TIMEOUT, || {
            panic!("no reader waited")
        });
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            sleep(Duration::from_mins(10)).await;
        }
    }
}
