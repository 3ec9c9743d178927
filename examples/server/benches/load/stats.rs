use std::error::Error;
use std::fmt;
use std::str::FromStr;

use downlink::hub::HubStats;

use crate::support::Result;

/// Counts of a hub, as one process prints them and another parses them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) page_reads: u64,
    pub(crate) fallen_behind: u64,
}

impl From<HubStats> for Stats {
    fn from(stats: HubStats) -> Self {
        Self { page_reads: stats.page_reads, fallen_behind: stats.fallen_behind }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.page_reads, self.fallen_behind)
    }
}

impl FromStr for Stats {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(line: &str) -> Result<Self> {
        let (reads, behind) = line.split_once(' ').ok_or("expected two numbers")?;
        Ok(Self { page_reads: reads.parse()?, fallen_behind: behind.parse()? })
    }
}
