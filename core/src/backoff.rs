use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// How often an operation is attempted if its error does not say whether the
/// failure is transient. The attempts span about three seconds.
const BACKEND_ATTEMPTS: u32 = 10;

/// The pauses between the attempts of an operation. Each is twice as long as
/// the one before, up to a maximum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first, failures: 0 }
    }

    /// From ten milliseconds up to `longest`.
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self::new(Duration::from_millis(10), longest)
    }

    /// The pause before the next attempt.
    pub(crate) fn pause(&mut self) -> Duration {
        self.failures += 1;
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2);
        pause
    }

    /// The pause after this error; `None` if another attempt would not help.
    pub(crate) fn pause_after(&mut self, error: &Error) -> Option<Duration> {
        let pause = self.pause();
        let is_transient = error.is_retryable()
            || (error.kind() == ErrorKind::Backend && self.failures < BACKEND_ATTEMPTS);
        is_transient.then_some(pause)
    }

    /// Starts again with the first pause.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.first, self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_reset() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(10), millis(70));
        let pauses: Vec<_> = (0..5).map(|_| backoff.pause()).collect();
        assert_eq!(pauses, [10, 20, 40, 70, 70].map(millis));
        backoff.reset();
        assert_eq!(backoff.pause(), millis(10));
        assert_eq!(Backoff::up_to(millis(1)).pause(), millis(1));
    }

    #[test]
    fn only_errors_that_may_be_transient_are_retried() {
        let error = |kind| Error::new(kind, "for a test");
        let mut backoff = Backoff::up_to(Duration::from_secs(1));
        for _ in 0..100 {
            assert!(backoff.pause_after(&error(ErrorKind::Unavailable)).is_some());
        }
        assert!(backoff.pause_after(&error(ErrorKind::Corrupt)).is_none());
        backoff.reset();
        let attempts =
            (0..).take_while(|_| backoff.pause_after(&error(ErrorKind::Backend)).is_some());
        assert_eq!(attempts.count(), 9);
    }
}
