use std::time::{Duration, Instant};

use super::Speed;
use crate::flight::ClockTime;

/// The clock of the replay: calculates its time at any instant.
///
/// Pure: it does not read the system's clock.
#[derive(Clone, Copy, Debug)]
pub struct ReplayClock {
    shown: Duration,
    at: Instant,
    speed: Speed,
    stopped: bool,
}

impl ReplayClock {
    /// A clock that shows `clock` at the instant `at`.
    #[must_use]
    pub fn new(clock: ClockTime, at: Instant, speed: Speed, stopped: bool) -> Self {
        Self { shown: since_midnight(clock), at, speed, stopped }
    }

    /// The time since midnight that the clock shows at `moment`.
    #[must_use]
    pub fn shown(&self, moment: Instant) -> Duration {
        if self.stopped {
            return self.shown;
        }
        self.shown + self.speed.of_the_day(moment.saturating_duration_since(self.at))
    }

    /// The minute that the clock shows at `moment`.
    #[must_use]
    pub fn minute(&self, moment: Instant) -> ClockTime {
        let minutes = self.shown(moment).as_secs() / 60;
        u32::try_from(minutes).map_or(ClockTime::LAST, ClockTime::from_minute)
    }

    /// How long from `moment` until the clock shows `due`; `None` if it is stopped.
    #[must_use]
    pub fn wait(&self, due: Duration, moment: Instant) -> Option<Duration> {
        let left = due.saturating_sub(self.shown(moment));
        (!self.stopped).then(|| self.speed.in_reality(left))
    }

    /// The same clock with another speed and state from `moment` on.
    #[must_use]
    pub fn changed(&self, moment: Instant, speed: Speed, stopped: bool) -> Self {
        Self { shown: self.shown(moment), at: moment, speed, stopped }
    }
}

/// The time from midnight until this minute.
pub(super) fn since_midnight(time: ClockTime) -> Duration {
    Duration::from_secs(u64::from(time.minute()) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENING: ClockTime = ClockTime::new(4, 45);

    #[test]
    fn the_clock_follows_its_speed() {
        let start = Instant::now();
        let clock = ReplayClock::new(OPENING, start, Speed::default(), false);
        assert_eq!(clock.minute(start + Duration::from_secs(30)), ClockTime::new(5, 15));
    }

    #[test]
    fn a_change_of_speed_does_not_move_the_clock() {
        let start = Instant::now();
        let change = start + Duration::from_secs(30);
        let clock = ReplayClock::new(OPENING, start, Speed::default(), false);
        let faster = clock.changed(change, Speed::FASTEST, false);
        assert_eq!(faster.shown(change), clock.shown(change));
        assert_eq!(faster.minute(change + Duration::from_secs(1)), ClockTime::new(6, 15));
    }

    #[test]
    fn a_stopped_clock_does_not_move() {
        let start = Instant::now();
        let clock = ReplayClock::new(OPENING, start, Speed::default(), true);
        assert_eq!(clock.minute(start + Duration::from_hours(1)), OPENING);
        assert_eq!(clock.wait(since_midnight(ClockTime::new(5, 0)), start), None);
    }

    #[test]
    fn there_is_no_wait_for_what_is_due() {
        let start = Instant::now();
        let clock = ReplayClock::new(OPENING, start, Speed::default(), false);
        let due = since_midnight(ClockTime::new(4, 46));
        assert_eq!(clock.wait(due, start), Some(Duration::from_secs(1)));
        assert_eq!(clock.wait(due, start + Duration::from_secs(5)), Some(Duration::ZERO));
    }
}
