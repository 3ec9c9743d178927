use std::fmt;
use std::time::Duration;

use downlink::Cursor;
use indicatif::HumanCount;

/// What a load did.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The flights of the file whose last event is in the log.
    pub flights: u64,
    /// The events that this load stored.
    pub stored: u64,
    /// The events that were there before.
    pub existing: u64,
    /// Whoever has followed the log up to here has seen all of them.
    pub cursor: Cursor,
    /// How long it took to store them; reading the file is not counted.
    pub took: Duration,
    /// Whether the file was loaded to its end. Otherwise the load was stopped,
    /// and goes on when it is repeated.
    pub complete: bool,
}

impl LoadReport {
    /// The events that were stored in a second, on average.
    #[must_use]
    pub fn per_second(&self) -> u64 {
        per_second(self.stored, self.took)
    }
}

pub(super) fn per_second(events: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(events) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// As in `1,307,480 events of 336,776 flights loaded in 9.0 s, 145,275 events/s`.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flights, stored, existing, took, .. } = self;
        let (flights, stored) = (HumanCount(*flights), HumanCount(*stored));
        let speed = HumanCount(self.per_second());
        write!(f, "{stored} events loaded in {:.1} s, {speed} events/s; ", took.as_secs_f64())?;
        if *existing > 0 {
            write!(f, "{} were there before; ", HumanCount(*existing))?;
        }
        write!(f, "{flights} flights are complete")
    }
}
