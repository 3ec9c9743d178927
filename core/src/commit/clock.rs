use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::event::Timestamp;
use crate::supervise::logged;

/// Clocks are corrected by less than this all the time.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Compares the system's clock with the times of the log.
///
/// Times never decrease along the log, so a clock that was ahead once gives its
/// time to every later event, until the clock is there again. Nothing else shows
/// that.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    behind: Duration,
    is_told: bool,
}

impl Clock {
    /// An event was recorded with this time just now. Warns at the first of those
    /// that have an earlier event's time because the clock is behind it.
    pub(super) fn recorded(&self, recorded_at: Timestamp, now: Timestamp) {
        let behind = recorded_at.as_micros().saturating_sub(now.as_micros());
        let behind = Duration::from_micros(behind);
        match self.moved(behind) {
            Some(true) => logged(|| {
                warn!(
                    %recorded_at, clock = %now,
                    "the clock is behind the last event of the log: until it has caught up, every event is recorded \
                     with that event's time; set the clock right if it is wrong"
                );
            }),
            Some(false) => logged(|| info!(clock = %now, "the clock has caught up with the log")),
            None => {}
        }
    }

    /// Whether an episode begins or ends with this.
    fn moved(&self, behind: Duration) -> Option<bool> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.behind = behind;
        let begins = behind > TOLERANCE && !state.is_told;
        let ends = behind.is_zero() && state.is_told;
        state.is_told = (state.is_told || begins) && !ends;
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
    fn a_clock_that_is_behind_is_told_once_until_it_has_caught_up() {
        let (clock, warnings) = (Clock::default(), Warnings::default());
        let told = |ahead, now| {
            clock.recorded(at(ahead), at(now));
            warnings.0.load(Ordering::Relaxed)
        };
        tracing::subscriber::with_default(warnings.clone(), || {
            assert_eq!(told(100, 100), 0);
            // A correction, as there are many.
            assert_eq!(told(102, 100), 0);
            assert_eq!(told(4_000, 101), 1);
            assert_eq!(clock.behind(), Duration::from_secs(3_899));
            for now in 102..200 {
                assert_eq!(told(4_000, now), 1);
            }
            // Nearly there, which is not the end yet.
            assert_eq!(told(4_000, 3_999), 1);
            assert_eq!(told(4_000, 3_900), 1);
            assert_eq!(told(4_001, 4_001), 1);
            assert_eq!(clock.behind(), Duration::ZERO);
            assert_eq!(told(9_000, 4_002), 2);
        });
    }
}
