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
    use super::*;

    /// Without the log: `tracing` may skip an event for a subscriber of one thread when another thread
    /// reaches it first.
    #[test]
    fn a_clock_that_is_behind_is_reported_once_until_it_has_caught_up() {
        let clock = ClockMonitor::default();
        let after = |seconds| clock.transition(Duration::from_secs(seconds));
        assert_eq!(after(0), None);
        // A normal correction.
        assert_eq!(after(2), None);
        assert_eq!(after(3_899), Some(true));
        assert_eq!(clock.behind(), Duration::from_secs(3_899));
        for behind in (0..100).rev() {
            assert_eq!(after(3_800 + behind), None);
        }
        // Within the tolerance, but not caught up yet.
        assert_eq!(after(1), None);
        assert_eq!(after(100), None);
        assert_eq!(after(0), Some(false));
        assert_eq!(clock.behind(), Duration::ZERO);
        assert_eq!(after(4_998), Some(true));
    }

    #[test]
    fn the_difference_to_the_time_of_the_event_is_kept() {
        let (clock, at) = (ClockMonitor::default(), Timestamp::from_micros);
        clock.observe(at(4_000_000), at(101_000));
        assert_eq!(clock.behind(), Duration::from_millis(3_899));
        clock.observe(at(101_000), at(4_000_000));
        assert_eq!(clock.behind(), Duration::ZERO);
    }
}
