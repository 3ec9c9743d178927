use std::fmt;
use std::time::Duration;

use downlink::Cursor;
use indicatif::HumanCount;

/// The result of a load.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The flights of the file that are completely in the log.
    pub flights: u64,
    /// The events that this load stored.
    pub stored: u64,
    /// The events that were already in the log.
    pub existing: u64,
    /// The cursor of the last event of the file.
    pub cursor: Cursor,
    /// The time for storing them, without reading the file.
    pub took: Duration,
    /// Whether the whole file was loaded. Otherwise the load was stopped, and resumes when
    /// it is repeated.
    pub complete: bool,
}

impl LoadReport {
    /// The average number of events stored per second.
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
            write!(f, "{} were already in the log; ", HumanCount(*existing))?;
        }
        write!(f, "{flights} flights are complete")
    }
}
