use std::time::{Duration, Instant};

use downlink::bus::Hint;

use crate::bus_options::BusOptions;
use crate::head_row::HeadRow;

/// Returns a number that differs from the last time if another connection has
/// committed since. Costs two or three microseconds, and keeps no snapshot open.
pub const DATA_VERSION: &str = "PRAGMA data_version";

/// When to poll the file again, and what a poll means.
#[derive(Debug)]
pub struct PollSchedule {
    options: BusOptions,
    version: Option<i64>,
    head: Option<HeadRow>,
    changed: Instant,
    has_failed: bool,
}

impl PollSchedule {
    /// A schedule before its first poll.
    #[must_use]
    pub fn new(options: BusOptions) -> Self {
        Self { options, version: None, head: None, changed: Instant::now(), has_failed: false }
    }

    /// Records what [`DATA_VERSION`] returned. Returns whether the log may have
    /// changed, which is always so on a new connection.
    pub fn record_version(&mut self, version: i64, is_new: bool) -> bool {
        let changed = is_new || self.has_failed || self.version != Some(version);
        self.version = Some(version);
        self.has_failed = false;
        if changed {
            self.changed = Instant::now();
        }
        changed
    }

    /// Records the head of the log after a change. Returns the hint to publish. A
    /// hint with a position lets hubs ignore what they already have. A change that
    /// appended nothing, such as a step of a projection, needs no hint. A head that
    /// is not above the last one belongs to another log.
    pub fn record_head(&mut self, head: HeadRow) -> Option<Hint> {
        match self.head.replace(head) {
            Some(last) if last == head => None,
            Some(last) if last.position < head.position => Some(Hint::at(head.position)),
            _ => Some(Hint::anything()),
        }
    }

    /// Records a failed poll. Returns whether it is the first after a successful
    /// one.
    pub fn record_failure(&mut self) -> bool {
        self.head = None;
        !std::mem::replace(&mut self.has_failed, true)
    }

    /// How long to wait before the next poll: the longest pause after a failure.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let quiet = if self.has_failed { Duration::MAX } else { self.changed.elapsed() };
        self.options.pause(quiet)
    }
}

#[cfg(test)]
mod tests {
    use downlink::event::Timestamp;
    use downlink::{EventId, Position};

    use super::*;

    #[test]
    fn a_change_a_new_connection_and_a_recovery_are_changes() {
        let mut schedule = PollSchedule::new(BusOptions::new());
        assert!(schedule.record_version(1, true));
        assert!(!schedule.record_version(1, false));
        assert!(schedule.record_version(2, false));
        assert!(schedule.record_version(2, true));
        assert!(schedule.record_failure());
        assert!(!schedule.record_failure());
        assert_eq!(schedule.pause(), Duration::from_millis(25));
        assert!(schedule.record_version(2, false));
        assert!(!schedule.record_version(2, false));
    }

    #[test]
    fn an_append_gives_a_position_and_another_log_gives_anything() {
        let head = |position, id| HeadRow {
            position: Position::new(position).unwrap(),
            id: Some(EventId::from_bytes([id; 16])),
            recorded_at: Timestamp::EPOCH,
            generation: position,
        };
        let mut schedule = PollSchedule::new(BusOptions::new());
        assert_eq!(schedule.record_head(head(3, 3)), Some(Hint::anything()));
        assert_eq!(schedule.record_head(head(3, 3)), None);
        assert_eq!(schedule.record_head(head(5, 5)), Some(Hint::at(Position::new(5).unwrap())));
        for other in [head(5, 9), head(4, 4)] {
            assert_eq!(schedule.record_head(other), Some(Hint::anything()));
        }
        schedule.record_failure();
        assert_eq!(schedule.record_head(head(4, 4)), Some(Hint::anything()));
    }
}
