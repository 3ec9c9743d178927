use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use downlink::BoxError;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long a body may come to a halt, unless said otherwise.
pub(crate) const HALT: Duration = Duration::from_secs(20);

/// So many times as long may be waited for a whole body, and a second longer for
/// so many bytes.
const WHOLE: u32 = 3;
const BYTES_PER_SECOND: u64 = 16 << 10;

/// A body that has to come steadily, or fails with [`Halted`]. Only the time is
/// counted in which somebody waits for it.
pub(crate) struct Steady<B, F> {
    body: B,
    halt: Duration,
    on_halt: F,
    received: u64,
    waited: Duration,
    /// Since when nothing came, and the end of the patience.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B, F: FnMut()> Steady<B, F> {
    /// `on_halt` is called before the body fails.
    pub(crate) fn new(body: B, halt: Duration, on_halt: F) -> Self {
        Self { body, halt, on_halt, received: 0, waited: Duration::ZERO, waiting: None }
    }

    /// Waits no longer than the patience lasts.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Halted> {
        let whole = self.halt * WHOLE + Duration::from_secs(self.received / BYTES_PER_SECOND);
        let patience = self.halt.min(whole.saturating_sub(self.waited));
        let now = || (Instant::now(), Box::pin(sleep(patience)));
        let (_, timer) = self.waiting.get_or_insert_with(now);
        ready!(timer.as_mut().poll(cx));
        (self.on_halt)();
        Poll::Ready(Halted(self.halt))
    }
}

impl<B, F> Body for Steady<B, F>
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
            return self.wait(cx).map(|halted| Some(Err(halted.into())));
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

/// A body came to a halt, or so slowly that nobody waits for it.
#[derive(Debug)]
pub(crate) struct Halted(Duration);

impl Halted {
    /// What made reading a body fail, if it is this.
    pub(crate) fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |&error| error.source())
            .find_map(<dyn Error>::downcast_ref)
    }
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (halt, whole) = (self.0, self.0 * WHOLE);
        write!(
            f,
            "nothing of the body came for {halt:?}, or less than {BYTES_PER_SECOND} bytes a second \
             for more than {whole:?}: send it without a break"
        )
    }
}

impl Error for Halted {}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// So many pieces of so many bytes with a pause before each.
    async fn read(count: usize, bytes: usize, pause: u64) -> Result<usize, BoxError> {
        let pieces = stream::iter(0..count).then(|_| async move {
            sleep(Duration::from_secs(pause)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![0; bytes])))
        });
        let mut halts = 0;
        let body = Steady::new(StreamBody::new(Box::pin(pieces)), HALT, || halts += 1);
        let read = body.collect().await.map(|body| body.to_bytes().len());
        assert_eq!(halts, usize::from(read.is_err()));
        read
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_and_not_for_ever() {
        assert_eq!(read(3, 1, 19).await.unwrap(), 3);
        assert_eq!(read(100, 160 << 10, 10).await.unwrap(), 100 * (160 << 10));
        assert!(Halted::behind(&*read(1, 1, 21).await.unwrap_err()).is_some(), "it came to a halt");
        assert!(Halted::behind(&*read(4, 1, 19).await.unwrap_err()).is_some(), "it never ends");
        assert!(
            Halted::behind(&*read(100, 80 << 10, 10).await.unwrap_err()).is_some(),
            "it is too slow"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_reader_may_take_its_time() {
        let piece = |_| Ok::<_, BoxError>(Frame::data(Bytes::from("a")));
        let pieces = stream::iter((0..9).map(piece));
        let mut body = Steady::new(StreamBody::new(pieces), HALT, || panic!("nobody waited"));
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            sleep(Duration::from_mins(10)).await;
        }
    }
}
