use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long the next byte is awaited while the server drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything together may take this many times the timeout.
const TOTAL_FACTOR: u32 = 6;

/// How much is read and discarded from a peer that keeps sending after its
/// response, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiscardLimits {
    pub(super) bytes: u64,
    /// The longest time without a byte.
    pub(super) timeout: Duration,
}

/// How discarding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiscardOutcome {
    /// There is nothing more to read.
    All,
    /// There may be more, beyond the limits.
    LimitReached,
}

impl DiscardLimits {
    /// Reads until `next` returns `None`. A server that drains waits for the next
    /// byte for at most a second.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost except what was to be discarded.
    pub(super) async fn run(
        self,
        drain: &CancellationToken,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<usize>>,
    ) -> DiscardOutcome {
        let total = sleep(self.timeout.saturating_mul(TOTAL_FACTOR));
        tokio::pin!(total);
        let mut left = self.bytes;
        loop {
            let draining = drain.is_cancelled();
            let timeout = if draining { self.timeout.min(DRAIN_TIMEOUT) } else { self.timeout };
            tokio::select! {
                biased;
                () = &mut total => return DiscardOutcome::LimitReached,
                read = poll_fn(&mut next) => {
                    let Some(read) = read else { return DiscardOutcome::All };
                    let Some(rest) = left.checked_sub(u64::try_from(read).unwrap_or(u64::MAX)) else {
                        return DiscardOutcome::LimitReached;
                    };
                    left = rest;
                }
                () = drain.cancelled(), if !draining => {}
                () = sleep(timeout) => return DiscardOutcome::LimitReached,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    const LIMITS: DiscardLimits = DiscardLimits { bytes: 100, timeout: Duration::from_secs(5) };

    async fn discard(pieces: &[usize]) -> DiscardOutcome {
        let mut pieces: VecDeque<_> = pieces.iter().copied().collect();
        LIMITS.run(&CancellationToken::new(), |_| Poll::Ready(pieces.pop_front())).await
    }

    #[tokio::test]
    async fn no_more_bytes_are_read_than_allowed() {
        assert_eq!(discard(&[]).await, DiscardOutcome::All);
        assert_eq!(discard(&[60, 40]).await, DiscardOutcome::All);
        assert_eq!(discard(&[60, 41]).await, DiscardOutcome::LimitReached);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_cut_after_the_timeout() {
        let began = Instant::now();
        let discarded = LIMITS.run(&CancellationToken::new(), |_| Poll::Pending).await;
        assert_eq!(discarded, DiscardOutcome::LimitReached);
        assert_eq!(began.elapsed(), LIMITS.timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_slowly_is_cut_after_the_total_time() {
        let (sender, mut receiver) = mpsc::channel(1);
        let trickle = tokio::spawn(async move {
            while sender.send(1).await.is_ok() {
                sleep(Duration::from_secs(4)).await;
            }
        });
        let began = Instant::now();
        let token = CancellationToken::new();
        let discarded = LIMITS.run(&token, |cx| receiver.poll_recv(cx)).await;
        assert_eq!(discarded, DiscardOutcome::LimitReached);
        assert_eq!(began.elapsed(), LIMITS.timeout * TOTAL_FACTOR);
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_draining_server_waits_for_a_shorter_time() {
        let drain = CancellationToken::new();
        let began = Instant::now();
        let cancel = async {
            sleep(Duration::from_secs(2)).await;
            drain.cancel();
        };
        let (discarded, ()) = tokio::join!(LIMITS.run(&drain, |_| Poll::Pending), cancel);
        assert_eq!(discarded, DiscardOutcome::LimitReached);
        assert_eq!(began.elapsed(), Duration::from_secs(2) + DRAIN_TIMEOUT);
    }
}
