use std::time::{Duration, Instant};

use downlink::{Cursor, Position};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is checked that the target has none of the streams.
    Checking,
    /// Events are copied.
    Copying,
    /// The copy is compared with the original.
    Comparing,
}

/// How far copying or comparing is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How many events are done, in this run.
    pub events: u64,
    /// The last event that is done.
    pub at: Cursor,
    /// The event at which this ends.
    pub end: Cursor,
    /// How long it has taken so far.
    pub elapsed: Duration,
    from: Position,
    began: Instant,
}

impl Progress {
    pub(super) fn begin(phase: Phase, at: Cursor, end: Cursor) -> Self {
        let (from, began) = (at.position(), Instant::now());
        Self { phase, events: 0, at, end, elapsed: Duration::ZERO, from, began }
    }

    pub(super) fn advance(&mut self, events: usize, at: Cursor) {
        self.events += u64::try_from(events).unwrap_or(u64::MAX);
        self.at = at;
        self.elapsed = self.began.elapsed();
    }

    /// How much of this run is done, in thousandths. An estimate, because it counts positions, of
    /// which a log may have left some out.
    #[must_use]
    pub fn thousandths(&self) -> u64 {
        let (done, all) = (self.passed(self.at), self.passed(self.end));
        if all == 0 { 1_000 } else { quotient(done * 1_000, all) }
    }

    /// How many events were done in a second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        quotient(u128::from(self.events) * 1_000, self.elapsed.as_millis())
    }

    /// How long the rest will take at this rate; `None` as long as nothing is done.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let (done, all) = (self.passed(self.at), self.passed(self.end));
        let left = all.saturating_sub(done);
        (done > 0).then(|| Duration::from_millis(quotient(self.elapsed.as_millis() * left, done)))
    }

    /// How many positions after the first one.
    fn passed(&self, to: Cursor) -> u128 {
        u128::from(to.position().get().saturating_sub(self.from.get()))
    }
}

fn quotient(number: u128, by: u128) -> u64 {
    u64::try_from(number / by.max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use downlink::EventId;

    use super::*;

    #[test]
    fn the_rest_is_estimated() {
        let at = |position| Cursor::of(Position::new(position).unwrap(), EventId::now());
        let mut progress = Progress::begin(Phase::Copying, at(100), at(500));
        assert_eq!((progress.thousandths(), progress.rate()), (0, 0));
        assert_eq!(progress.remaining(), None);
        progress.advance(50, at(200));
        progress.elapsed = Duration::from_secs(2);
        assert_eq!((progress.thousandths(), progress.rate()), (250, 25));
        assert_eq!(progress.remaining(), Some(Duration::from_secs(6)));
        let nothing = Progress::begin(Phase::Copying, at(5), at(5));
        assert_eq!(nothing.thousandths(), 1_000);
    }
}
