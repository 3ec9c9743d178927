use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::support::Result;

/// What the clients have received, as their process prints it and another parses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) deliveries: u64,
    /// Connections that have ended since the start.
    pub(crate) closed: u64,
    /// From the append to each client; zero if it was not measured.
    pub(crate) each: Latencies,
    /// From the append to the last client.
    pub(crate) last: Latencies,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latencies {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Latencies {
    /// The percentiles of these numbers of nanoseconds.
    pub(crate) fn of(nanos: &mut [u64]) -> Self {
        nanos.sort_unstable();
        let at = |percent: usize| {
            let index = (nanos.len() * percent / 100).min(nanos.len().saturating_sub(1));
            Duration::from_nanos(nanos.get(index).copied().unwrap_or_default())
        };
        Self { median: at(50), p99: at(99), longest: at(100) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deliveries, closed, each, last } = self;
        write!(f, "{deliveries} {closed}")?;
        for Latencies { median, p99, longest } in [each, last] {
            write!(f, " {} {} {}", median.as_nanos(), p99.as_nanos(), longest.as_nanos())?;
        }
        Ok(())
    }
}

impl FromStr for Report {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(line: &str) -> Result<Self> {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let mut next = || {
            let number = numbers.next().ok_or_else(|| format!("too few numbers: {line}"))?;
            number.map_err(|error| format!("{error}: {line}"))
        };
        let (deliveries, closed) = (next()?, next()?);
        let mut latencies = || {
            let [median, p99, longest] = [next()?, next()?, next()?].map(Duration::from_nanos);
            Ok::<_, String>(Latencies { median, p99, longest })
        };
        Ok(Self { deliveries, closed, each: latencies()?, last: latencies()? })
    }
}
