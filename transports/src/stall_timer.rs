use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may stall by default in what it sends.
pub(crate) const STALL_DEADLINE: Duration = Duration::from_secs(20);

/// A peer may be slower than [`BYTES_PER_SECOND`] for this many times as long.
const TOTAL_FACTOR: u32 = 3;
const BYTES_PER_SECOND: u32 = 16 << 10;

/// Measures whether what a peer sends stalls, or is too slow. Only the time in which
/// it is waited for counts.
#[derive(Debug)]
pub(crate) struct StallTimer {
    deadline: Duration,
    /// For how long the peer was waited for, less a second for each
    /// [`BYTES_PER_SECOND`] that came then. Bytes are no credit for later: a peer that
    /// sends much and then nearly nothing would keep its memory for long.
    behind: Duration,
    /// The start of the current wait, and its timeout.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl StallTimer {
    /// A timer that does not run yet.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { deadline, behind: Duration::ZERO, waiting: None }
    }

    /// Waits until the peer has stalled, unless something is [received](Self::received)
    /// before.
    pub(crate) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        let left = (self.deadline * TOTAL_FACTOR).saturating_sub(self.behind);
        let timeout = self.deadline.min(left);
        let now = || (Instant::now(), Box::pin(sleep(timeout)));
        let (_, timer) = self.waiting.get_or_insert_with(now);
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Stalled(self.deadline))
    }

    /// Ends the current wait: this many bytes have arrived.
    pub(crate) fn received(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.behind += since.elapsed();
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let caught_up = Duration::from_secs(bytes.into()) / BYTES_PER_SECOND;
        self.behind = self.behind.saturating_sub(caught_up);
    }
}

/// The error of a peer that stalled or was too slow.
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
