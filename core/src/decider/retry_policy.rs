use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::CommandId;
use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_WAIT;

/// The upper bound of the first pause.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a command is attempted, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) deadline: Duration,
}

/// The attempts of one execution.
pub(super) struct Attempts {
    policy: RetryPolicy,
    backoff: Backoff,
    until: Instant,
    tried: u32,
    command: CommandId,
    stopped: CancellationToken,
}

impl Attempts {
    pub(super) fn new(policy: RetryPolicy, command: CommandId, stopped: CancellationToken) -> Self {
        let until = Instant::now() + policy.deadline.min(MAX_WAIT);
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { policy, backoff, until, tried: 1, command, stopped }
    }

    /// Waits until the next attempt, if there is one.
    ///
    /// # Errors
    ///
    /// That of the last attempt, if there is no further one.
    pub(super) async fn after(&mut self, error: Error) -> Result<()> {
        let pause = self.pause();
        if !may_pass(&error)
            || self.tried >= self.policy.attempts
            || Instant::now() + pause > self.until
        {
            return Err(error);
        }
        self.tried += 1;
        self.stopped.run_until_cancelled(sleep(pause)).await.ok_or(error)
    }

    /// The next pause of the backoff, randomly shortened. The randomness is
    /// derived from the command's id, so that racing callers are spread without
    /// a random number generator.
    fn pause(&mut self) -> Duration {
        let draw = self.command.derive(b"pause").event_id(self.tried);
        let [.., a, b] = *draw.as_bytes();
        let share = f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX);
        self.backoff.pause().mul_f64(share)
    }
}

/// A full disk is retryable too, but is not freed within the time that a caller
/// waits.
fn may_pass(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict
            | ErrorKind::Busy
            | ErrorKind::Overloaded
            | ErrorKind::Unavailable
            | ErrorKind::OutcomeUnknown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(attempts: u32, deadline: Duration) -> Attempts {
        let policy = RetryPolicy { attempts, deadline };
        Attempts::new(policy, CommandId::now(), CancellationToken::new())
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "for a test")
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted() {
        let mut retries = retries(3, Duration::from_hours(1));
        for _ in 1..3 {
            retries.after(error(ErrorKind::Busy)).await.unwrap();
        }
        assert_eq!(
            retries.after(error(ErrorKind::Busy)).await.unwrap_err().kind(),
            ErrorKind::Busy
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_the_deadline() {
        let deadline = Duration::from_secs(3);
        let mut retries = retries(u32::MAX, deadline);
        let start = Instant::now();
        while retries.after(error(ErrorKind::Conflict)).await.is_ok() {
            assert!(start.elapsed() <= deadline);
        }
        assert!(retries.tried > 6, "only {} attempts in three seconds", retries.tried);
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_errors_are_returned_at_once() {
        let start = Instant::now();
        for kind in
            [ErrorKind::StorageFull, ErrorKind::Corrupt, ErrorKind::Invalid, ErrorKind::IdReused]
        {
            assert!(
                retries(9, Duration::from_hours(1)).after(error(kind)).await.is_err(),
                "{kind:?}"
            );
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_was_shut_down_is_not_waited_for() {
        let mut retries = retries(9, Duration::from_hours(1));
        retries.stopped.cancel();
        assert!(retries.after(error(ErrorKind::Unavailable)).await.is_err());
    }

    #[test]
    fn pauses_are_spread_and_bounded() {
        let mut pauses = Vec::new();
        for tried in 1..40 {
            let mut retries = retries(u32::MAX, Duration::ZERO);
            retries.tried = tried;
            for _ in 1..tried {
                retries.backoff.pause();
            }
            pauses.push(retries.pause());
        }
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(pauses[0] <= FIRST_PAUSE);
        let late = &pauses[10..];
        assert!(late.iter().any(|pause| *pause < LONGEST_PAUSE / 2), "{late:?}");
        assert!(late.iter().any(|pause| *pause > LONGEST_PAUSE / 2), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_may_be_zero_or_unlimited() {
        let busy = || error(ErrorKind::Busy);
        retries(9, Duration::MAX).after(busy()).await.unwrap();
        let mut at_once = retries(u32::MAX, Duration::ZERO);
        let tries = async { while at_once.after(busy()).await.is_ok() {} };
        tries.await;
    }
}
