use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The longest silence that is waited out while the server drains.
const SILENCE_AT_DRAIN: Duration = Duration::from_secs(1);

/// The whole may take so many times the longest silence.
const WHOLE: u32 = 6;

/// How much is read, only to be discarded, of a peer that goes on sending
/// after it had its answer, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Discard {
    pub(super) bytes: u64,
    /// The longest time without a byte.
    pub(super) silence: Duration,
}

/// Why discarding came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discarded {
    /// There is no more.
    All,
    /// There may be more, beyond the bounds.
    UpToTheBounds,
}

impl Discard {
    /// Reads until `next` has nothing more. A server that drains waits for a
    /// second at most for the next byte.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost that was not to be discarded.
    pub(super) async fn run(
        self,
        drain: &CancellationToken,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<usize>>,
    ) -> Discarded {
        let whole = sleep(self.silence.saturating_mul(WHOLE));
        tokio::pin!(whole);
        let mut left = self.bytes;
        loop {
            let draining = drain.is_cancelled();
            let silence = if draining { self.silence.min(SILENCE_AT_DRAIN) } else { self.silence };
            tokio::select! {
                biased;
                () = &mut whole => return Discarded::UpToTheBounds,
                read = poll_fn(&mut next) => {
                    let Some(read) = read else { return Discarded::All };
                    let Some(rest) = left.checked_sub(u64::try_from(read).unwrap_or(u64::MAX)) else {
                        return Discarded::UpToTheBounds;
                    };
                    left = rest;
                }
                () = drain.cancelled(), if !draining => {}
                () = sleep(silence) => return Discarded::UpToTheBounds,
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

    const BOUNDS: Discard = Discard { bytes: 100, silence: Duration::from_secs(5) };

    async fn discard(pieces: &[usize]) -> Discarded {
        let mut pieces: VecDeque<_> = pieces.iter().copied().collect();
        BOUNDS.run(&CancellationToken::new(), |_| Poll::Ready(pieces.pop_front())).await
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_bytes_that_are_allowed() {
        assert_eq!(discard(&[]).await, Discarded::All);
        assert_eq!(discard(&[60, 40]).await, Discarded::All);
        assert_eq!(discard(&[60, 41]).await, Discarded::UpToTheBounds);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_waited_for_until_the_silence_is_too_long() {
        let began = Instant::now();
        let discarded = BOUNDS.run(&CancellationToken::new(), |_| Poll::Pending).await;
        assert_eq!(discarded, Discarded::UpToTheBounds);
        assert_eq!(began.elapsed(), BOUNDS.silence);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_trickles_is_cut_in_the_end() {
        let (sender, mut receiver) = mpsc::channel(1);
        let trickle = tokio::spawn(async move {
            while sender.send(1).await.is_ok() {
                sleep(Duration::from_secs(4)).await;
            }
        });
        let began = Instant::now();
        let token = CancellationToken::new();
        let discarded = BOUNDS.run(&token, |cx| receiver.poll_recv(cx)).await;
        assert_eq!(discarded, Discarded::UpToTheBounds);
        assert_eq!(began.elapsed(), BOUNDS.silence * WHOLE);
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_drains_waits_for_less() {
        let drain = CancellationToken::new();
        let began = Instant::now();
        let cancel = async {
            sleep(Duration::from_secs(2)).await;
            drain.cancel();
        };
        let (discarded, ()) = tokio::join!(BOUNDS.run(&drain, |_| Poll::Pending), cancel);
        assert_eq!(discarded, Discarded::UpToTheBounds);
        assert_eq!(began.elapsed(), Duration::from_secs(2) + SILENCE_AT_DRAIN);
    }
}
