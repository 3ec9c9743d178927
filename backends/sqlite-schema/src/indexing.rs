use std::time::Duration;

use downlink::commit::Upkeep;

use crate::postings::SEGMENT;

/// How long one step should take: half of what it may.
const STEP: Duration = Duration::from_millis(5);

/// The events of one step: at first, at least and at most.
const EVENTS: (i64, i64, i64) = (1_024, 64, 16_384);

/// With a lag of this many events, indexing goes before appends.
const OVERDUE: i64 = 16 * SEGMENT;

/// How far the postings are, and how many events the next step adds to them.
///
/// An append writes no postings. The writer adds them in separate steps: when its
/// queue is empty, otherwise for a tenth of its time, and before any append if they
/// lag far behind.
#[derive(Clone, Copy, Debug)]
pub struct Indexing {
    indexed: i64,
    head: i64,
    lag: i64,
    step: i64,
}

impl Indexing {
    /// A schedule that begins a step when `lag` events are missing.
    #[must_use]
    pub fn new(lag: usize) -> Self {
        let lag = i64::try_from(lag.max(1)).unwrap_or(i64::MAX);
        Self { indexed: 0, head: 0, lag, step: EVENTS.0 }
    }

    /// Sets how far the postings and the log are.
    pub fn set_progress(&mut self, indexed: i64, head: i64) {
        (self.indexed, self.head) = (indexed, head);
    }

    /// Sets how far the log is.
    pub fn set_head(&mut self, head: i64) {
        if head < self.indexed {
            // This is another log, of which nothing is known.
            self.indexed = 0;
        }
        self.head = head;
    }

    /// Whether a step is due.
    #[must_use]
    pub fn upkeep(&self) -> Upkeep {
        match self.head - self.indexed {
            missing if missing >= OVERDUE.max(self.lag) => Upkeep::Overdue,
            missing if missing >= self.lag => Upkeep::Wanted,
            _ => Upkeep::None,
        }
    }

    /// The range of events to add, without its start and with its end; `None` if there
    /// are none.
    #[must_use]
    pub fn next_step(&self) -> Option<(i64, i64)> {
        (self.head > self.indexed)
            .then(|| (self.indexed, self.head.min(self.indexed.saturating_add(self.step))))
    }

    /// Records a step and how long it took.
    pub fn step_done(&mut self, (after, to): (i64, i64), took: Duration) {
        self.indexed = to;
        if took > STEP {
            self.step = EVENTS.1.max(self.step / 2);
        } else if took < STEP / 2 && to - after == self.step {
            self.step = EVENTS.2.min(self.step * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_step_follows_its_duration() {
        let mut indexing = Indexing::new(100);
        indexing.set_progress(0, 99);
        assert_eq!(indexing.upkeep(), Upkeep::None);
        indexing.set_head(200_000);
        assert_eq!(indexing.upkeep(), Upkeep::Wanted);
        let mut longest = 0;
        while let Some(step) = indexing.next_step() {
            longest = longest.max(step.1 - step.0);
            indexing.step_done(step, Duration::from_micros(1));
        }
        assert_eq!((longest, indexing.indexed), (EVENTS.2, 200_000));
        indexing.set_head(10_000_000);
        assert_eq!(indexing.upkeep(), Upkeep::Overdue);
        for _ in 0..20 {
            let step = indexing.next_step().unwrap();
            indexing.step_done(step, Duration::from_secs(1));
        }
        let (after, to) = indexing.next_step().unwrap();
        assert_eq!(to - after, EVENTS.1);
        indexing.set_progress(5_000, 5_000);
        indexing.set_head(4_000);
        assert_eq!(indexing.upkeep(), Upkeep::Wanted, "a restored log is indexed");
    }
}
