use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::support::Result;

/// How clients caught up, as their process prints it and another parses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resumed {
    /// Until all were live.
    pub(crate) time: Duration,
    pub(crate) deliveries: u64,
    /// Clients that were disconnected before.
    pub(crate) cut: u64,
}

impl fmt::Display for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.time.as_secs_f64(), self.deliveries, self.cut)
    }
}

impl FromStr for Resumed {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or_else(|| format!("expected three numbers: {line}"));
        let time = Duration::try_from_secs_f64(next()?.parse()?)?;
        Ok(Self { time, deliveries: next()?.parse()?, cut: next()?.parse()? })
    }
}
