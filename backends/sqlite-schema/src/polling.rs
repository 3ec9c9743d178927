use std::time::{Duration, Instant};

use downlink::bus::Hint;
use downlink::limits;

use crate::HeadRow;

/// Returns a number that differs from the last time if another connection has
/// committed since. Costs two or three microseconds, and pins nothing.
pub const DATA_VERSION: &str = "PRAGMA data_version";

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

    /// How long to pause between two looks: an eighth of the time for which
    /// nobody has written, but at least `shortest` and at most `longest`; 1 ms
    /// and 25 ms by default, a day at most. So a burst is followed closely, a quiet file costs
    /// little, and who writes now and then is noticed soon for how long it
    /// took.
    ///
    /// # Panics
    ///
    /// Panics if `shortest` is zero or more than `longest`.
    pub const fn with_pauses(mut self, shortest: Duration, longest: Duration) -> Self {
        assert!(!shortest.is_zero(), "looking without a pause keeps a core busy");
        assert!(shortest.as_nanos() <= longest.as_nanos(), "the shortest pause is not the longest");
        self.pauses = Some((at_most_a_day(shortest), at_most_a_day(longest)));
        self
    }

    /// Does not look at all: only the hints of this process come, and those
    /// who follow notice others at their fallback interval. For a file that
    /// only one process writes.
    pub const fn without_polling(mut self) -> Self {
        self.pauses = None;
        self
    }

    /// Whether it looks at all.
    #[must_use]
    pub const fn is_polling(&self) -> bool {
        self.pauses.is_some()
    }

    fn pause(&self, quiet: Duration) -> Duration {
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

/// What a poller has seen, and when it looks again.
#[derive(Debug)]
pub struct Lookout {
    options: BusOptions,
    version: Option<i64>,
    head: Option<HeadRow>,
    changed: Instant,
    is_blind: bool,
}

impl Lookout {
    /// One who has seen nothing yet.
    #[must_use]
    pub fn new(options: BusOptions) -> Self {
        Self { options, version: None, head: None, changed: Instant::now(), is_blind: false }
    }

    /// Takes what [`DATA_VERSION`] returned, and tells whether there may be
    /// something new. On a connection that is new there always may.
    pub fn saw(&mut self, version: i64, is_new: bool) -> bool {
        let changed = is_new || self.is_blind || self.version != Some(version);
        self.version = Some(version);
        self.is_blind = false;
        if changed {
            self.changed = Instant::now();
        }
        changed
    }

    /// Takes the head of the log after a change, and tells what to hint at. A
    /// hint at a position lets hubs that know of it already leave the log alone;
    /// a change that appended nothing, such as a step of a projection, is none;
    /// and a head that is elsewhere than above the last one is another log.
    pub fn hint(&mut self, head: HeadRow) -> Option<Hint> {
        match self.head.replace(head) {
            Some(last) if last == head => None,
            Some(last) if last.position < head.position => Some(Hint::at(head.position)),
            _ => Some(Hint::anything()),
        }
    }

    /// Takes that the file could not be looked at, and tells whether it could
    /// be before.
    pub fn failed(&mut self) -> bool {
        self.head = None;
        !std::mem::replace(&mut self.is_blind, true)
    }

    /// How long to wait before the next look. After a failure there is no
    /// hurry.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let quiet = if self.is_blind { Duration::MAX } else { self.changed.elapsed() };
        self.options.pause(quiet)
    }
}

#[cfg(test)]
mod tests {
    use downlink::event::Timestamp;
    use downlink::{EventId, Position};

    use super::*;

    #[test]
    fn pauses_grow_with_the_quiet_and_stay_in_bounds() {
        let options = BusOptions::new();
        let pauses =
            [0, 8, 80, 200, 10_000].map(|quiet| options.pause(Duration::from_millis(quiet)));
        assert_eq!(pauses, [1, 1, 10, 25, 25].map(Duration::from_millis));
    }

    #[test]
    fn a_change_a_new_connection_and_a_return_are_news() {
        let mut lookout = Lookout::new(BusOptions::new());
        assert!(lookout.saw(1, true));
        assert!(!lookout.saw(1, false));
        assert!(lookout.saw(2, false));
        assert!(lookout.saw(2, true));
        assert!(lookout.failed());
        assert!(!lookout.failed());
        assert_eq!(lookout.pause(), Duration::from_millis(25));
        assert!(lookout.saw(2, false));
        assert!(!lookout.saw(2, false));
    }

    #[test]
    fn only_an_append_is_hinted_at_and_another_log_is_anything() {
        let head = |position, id| HeadRow {
            position: Position::new(position).unwrap(),
            id: Some(EventId::from_bytes([id; 16])),
            recorded_at: Timestamp::EPOCH,
            generation: position,
        };
        let mut lookout = Lookout::new(BusOptions::new());
        assert_eq!(lookout.hint(head(3, 3)), Some(Hint::anything()));
        assert_eq!(lookout.hint(head(3, 3)), None);
        assert_eq!(lookout.hint(head(5, 5)), Some(Hint::at(Position::new(5).unwrap())));
        for other in [head(5, 9), head(4, 4)] {
            assert_eq!(lookout.hint(other), Some(Hint::anything()));
        }
        lookout.failed();
        assert_eq!(lookout.hint(head(4, 4)), Some(Hint::anything()));
    }

    #[test]
    fn no_pause_is_longer_than_a_day() {
        let never = BusOptions::new().with_pauses(Duration::MAX, Duration::MAX);
        for options in [never, BusOptions::new().without_polling()] {
            assert_eq!(options.pause(Duration::MAX), limits::MAX_WAIT);
        }
    }
}
