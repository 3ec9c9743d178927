use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::event::Timestamp;
use crate::supervise::logged;

/// Smaller differences are normal corrections of a clock.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Compares the system's clock with the times recorded in the log.
///
/// Recorded times never decrease along the log. After a clock was ahead, every
/// later event therefore has the time of the last event before, until the clock
/// has caught up. Nothing else makes this visible.
#[derive(Debug, Default)]
pub(super) struct ClockMonitor(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    behind: Duration,
    has_warned: bool,
}

impl ClockMonitor {
    /// Compares the time of an event that was just recorded with the clock.
    /// Logs a warning at the first event for which the clock is behind.
    pub(super) fn observe(&self, recorded_at: Timestamp, now: Timestamp) {
        let behind = recorded_at.as_micros().saturating_sub(now.as_micros());
        let behind = Duration::from_micros(behind);
        match self.transition(behind) {
            Some(true) => logged(|| {
                warn!(
                    %recorded_at, clock = %now,
                    "the clock is behind the last event of the log: until it has caught up, events are recorded \
                     with that event's time; set the clock right if it is wrong"
                );
            }),
            Some(false) => logged(|| info!(clock = %now, "the clock has caught up with the log")),
            None => {}
        }
    }

    /// `Some(true)` if the clock has just fallen behind, `Some(false)` if it
    /// has just caught up.
    fn transition(&self, behind: Duration) -> Option<bool> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.behind = behind;
        let begins = behind > TOLERANCE && !state.has_warned;
        let ends = behind.is_zero() && state.has_warned;
        state.has_warned = (state.has_warned || begins) && !ends;
        (begins || ends).then_some(begins)
    }

    /// How far the clock was behind when the last event was recorded.
    pub(super) fn behind(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).behind
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// Counts warnings.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_clock_that_is_behind_is_reported_once_until_it_has_caught_up() {
        let (clock, warnings) = (ClockMonitor::default(), Warnings::default());
        let warnings_after = |ahead, now| {
            clock.observe(at(ahead), at(now));
            warnings.0.load(Ordering::Relaxed)
        };
        tracing::subscriber::with_default(warnings.clone(), || {
            assert_eq!(warnings_after(100, 100), 0);
            // A normal correction.
            assert_eq!(warnings_after(102, 100), 0);
            assert_eq!(warnings_after(4_000, 101), 1);
            assert_eq!(clock.behind(), Duration::from_secs(3_899));
            for now in 102..200 {
                assert_eq!(warnings_after(4_000, now), 1);
            }
            // Within the tolerance, but not caught up yet.
            assert_eq!(warnings_after(4_000, 3_999), 1);
            assert_eq!(warnings_after(4_000, 3_900), 1);
            assert_eq!(warnings_after(4_001, 4_001), 1);
            assert_eq!(clock.behind(), Duration::ZERO);
            assert_eq!(warnings_after(9_000, 4_002), 2);
        });
    }
}
