use std::time::Duration;

/// The longest pause between two retries of a failing event.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Defines what happens to an event that a projection cannot apply.
///
/// The policy covers only failures of the projection's own code. If the store
/// is busy, full or unreachable, the projection waits for it, however long that
/// takes.
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
    /// Stops the projection right before the failing event, with all events
    /// before it applied. This is the default.
    pub const fn stop() -> Self {
        Self { retries: 0, pause: Duration::ZERO, skips: false }
    }

    /// Skips the failing event: stores it as a
    /// [`DeadLetter`](crate::projection::DeadLetter) in the same transaction as
    /// the checkpoint, and continues.
    pub const fn skip() -> Self {
        Self { retries: 0, pause: Duration::ZERO, skips: true }
    }

    /// Retries a failing event this many times before the projection stops or
    /// skips it. No retries by default. Waits for `pause` before the first
    /// retry, and twice as long before each further one, up to one minute.
    pub const fn with_retries(mut self, retries: u32, pause: Duration) -> Self {
        // A longer pause might overflow when doubled.
        let is_long = pause.as_secs() >= LONGEST_PAUSE.as_secs();
        (self.retries, self.pause) = (retries, if is_long { LONGEST_PAUSE } else { pause });
        self
    }

    /// How many times a failing event is retried.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The pause before the first retry.
    #[must_use]
    pub const fn pause(&self) -> Duration {
        self.pause
    }

    /// Whether an event that still fails is skipped.
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
