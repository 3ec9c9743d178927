use std::time::Duration;

use downlink::limits;

/// How a bus over a SQLite file looks for what other processes have written.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use downlink_sqlite_schema::BusOptions;
///
/// let options = BusOptions::new().with_pauses(Duration::from_millis(5), Duration::from_millis(100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct BusOptions {
    pauses: Option<(Duration, Duration)>,
}

impl BusOptions {
    /// The defaults, each of which its setter describes.
    pub const fn new() -> Self {
        Self { pauses: Some((Duration::from_millis(1), Duration::from_millis(25))) }
    }

    /// How long to pause between two polls: an eighth of the time since the last
    /// write, but at least `shortest` and at most `longest`; 1 ms and 25 ms by
    /// default, a day at most. So a burst is followed closely, a quiet file costs
    /// little, and after a pause in writing the delay stays small in proportion to
    /// the pause.
    ///
    /// # Panics
    ///
    /// Panics if `shortest` is zero or more than `longest`.
    pub const fn with_pauses(mut self, shortest: Duration, longest: Duration) -> Self {
        assert!(!shortest.is_zero(), "polling without a pause keeps a core busy");
        assert!(
            shortest.as_nanos() <= longest.as_nanos(),
            "the shortest pause exceeds the longest"
        );
        self.pauses = Some((at_most_a_day(shortest), at_most_a_day(longest)));
        self
    }

    /// Disables polling: only hints of this process arrive, and subscribers find
    /// what other processes wrote at their poll interval. For a file that only
    /// one process writes.
    pub const fn without_polling(mut self) -> Self {
        self.pauses = None;
        self
    }

    /// Whether the file is polled.
    #[must_use]
    pub const fn is_polling(&self) -> bool {
        self.pauses.is_some()
    }

    /// The pause after this time without a write.
    pub(crate) fn pause(&self, quiet: Duration) -> Duration {
        let (shortest, longest) = self.pauses.unwrap_or((limits::MAX_WAIT, limits::MAX_WAIT));
        (quiet / 8).clamp(shortest, longest)
    }
}

const fn at_most_a_day(pause: Duration) -> Duration {
    if pause.as_secs() >= limits::MAX_WAIT.as_secs() { limits::MAX_WAIT } else { pause }
}

impl Default for BusOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_quiet_and_stay_in_bounds() {
        let options = BusOptions::new();
        let pauses =
            [0, 8, 80, 200, 10_000].map(|quiet| options.pause(Duration::from_millis(quiet)));
        assert_eq!(pauses, [1, 1, 10, 25, 25].map(Duration::from_millis));
    }

    #[test]
    fn no_pause_is_longer_than_a_day() {
        let never = BusOptions::new().with_pauses(Duration::MAX, Duration::MAX);
        for options in [never, BusOptions::new().without_polling()] {
            assert_eq!(options.pause(Duration::MAX), limits::MAX_WAIT);
        }
    }
}
