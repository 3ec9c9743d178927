use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;

use super::load_report::per_second;

/// The result of building the read models after a load.
#[derive(Clone, Copy, Debug)]
pub struct RebuildReport {
    /// The events that each of them applied.
    pub events: u64,
    /// The number of read models.
    pub models: usize,
    /// The time until all of them were complete.
    pub took: Duration,
    /// Whether they have the whole log. Otherwise the build was stopped, and resumes when
    /// FlightDeck is started.
    pub complete: bool,
}

impl RebuildReport {
    /// The average number of events per second.
    #[must_use]
    pub fn per_second(&self) -> u64 {
        per_second(self.events, self.took)
    }
}

/// As in `3 read models built from 1,315,482 events in 21.0 s, 62,642 events/s`.
impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, speed) = (HumanCount(self.events), HumanCount(self.per_second()));
        let (models, seconds) = (self.models, self.took.as_secs_f64());
        write!(
            f,
            "{models} read models built from {events} events in {seconds:.1} s, {speed} events/s"
        )
    }
}
