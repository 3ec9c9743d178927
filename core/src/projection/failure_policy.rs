use std::time::Duration;

/// Retries of a guilty event come no later after each other.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What happens to an event that a projection cannot apply.
///
/// Only what the projection does wrong counts: a store that is busy, full or
/// out of reach is waited for, however long that takes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use downlink::projection::FailurePolicy;
///
/// let patient = FailurePolicy::skip().with_retries(3, Duration::from_millis(200));
/// # let _ = patient;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct FailurePolicy {
    retries: u32,
    pause: Duration,
    skips: bool,
}

impl FailurePolicy {
    /// The projection stops right before the event, with the events before it
    /// applied. The default.
    pub const fn stop() -> Self {
        Self { retries: 0, pause: Duration::ZERO, skips: false }
    }

    /// The event is stored as a [`DeadLetter`](crate::projection::DeadLetter) in the same
    /// transaction as the checkpoint, and the projection goes on.
    pub const fn skip() -> Self {
        Self { retries: 0, pause: Duration::ZERO, skips: true }
    }

    /// Tries the event so many times more before that: never by default. Waits
    /// for `pause` before the first time, and twice as long before each other,
    /// up to a minute.
    pub const fn with_retries(mut self, retries: u32, pause: Duration) -> Self {
        // A longer one could not be doubled.
        let is_long = pause.as_secs() >= LONGEST_PAUSE.as_secs();
        (self.retries, self.pause) = (retries, if is_long { LONGEST_PAUSE } else { pause });
        self
    }

    /// How many times more an event is tried.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// How long to wait before the first of them.
    #[must_use]
    pub const fn pause(&self) -> Duration {
        self.pause
    }

    /// Whether an event that still fails is passed over.
    #[must_use]
    pub const fn skips(&self) -> bool {
        self.skips
    }
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self::stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_can_always_be_doubled() {
        let pause = |pause| FailurePolicy::stop().with_retries(2, pause).pause();
        assert_eq!(pause(Duration::MAX), LONGEST_PAUSE);
        assert_eq!(pause(Duration::ZERO), Duration::ZERO);
        assert_eq!(pause(Duration::from_secs(3)), Duration::from_secs(3));
    }
}
