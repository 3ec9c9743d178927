use std::fmt;
use std::time::Duration;

use crate::client::{Counts, Spread, Times};
use crate::killed::Killed;

/// What the clients outside have counted.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) counts: Counts,
    pub(crate) times: Times,
    /// What no client may see, such as a refused cursor.
    pub(crate) problems: Vec<String>,
    pub(crate) followers: u32,
    pub(crate) killed: Killed,
    pub(crate) load: Duration,
}

const PHASES: [&str; 3] = ["before the kills", "during the kills", "after the kills"];

impl Report {
    /// Whether all promises were kept.
    pub(crate) fn is_clean(&self) -> bool {
        let Counts { sent, acknowledged, lost, repeated, disordered, invented, .. } = self.counts;
        let faults = lost + repeated + disordered + invented;
        faults == 0 && sent == acknowledged && sent > 0 && self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, times, problems, followers, killed, load } = self;
        writeln!(
            f,
            "\nAfter {} seconds of load, the clients outside have counted:\n",
            load.as_secs()
        )?;
        writeln!(f, "kills         {killed}")?;
        writeln!(f, "sent          {}", counts.sent)?;
        writeln!(
            f,
            "acknowledged  {}, after {} attempts that were repeated with the same id",
            counts.acknowledged, counts.failed_attempts
        )?;
        writeln!(
            f,
            "delivered     {}, to {followers} clients, which resumed {} times by the last id",
            counts.delivered, counts.resumed
        )?;
        writeln!(f, "lost          {}", counts.lost)?;
        writeln!(f, "repeated      {}", counts.repeated)?;
        writeln!(f, "out of order  {}", counts.disordered)?;
        writeln!(f, "never sent    {}", counts.invented)?;
        for problem in problems {
            writeln!(f, "problem       {problem}")?;
        }
        write_times(f, "until acknowledged", &times.acknowledged)?;
        write_times(f, "until delivered", &times.delivered)
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, what: &str, times: &[Vec<Duration>; 3]) -> fmt::Result {
    let what = format!("{what}, ms");
    writeln!(f, "\n{what:<26}{:>10}{:>10}{:>10}", "p50", "p99", "max")?;
    for (phase, times) in PHASES.iter().zip(times) {
        if let Some(spread) = Spread::of(&mut times.clone()) {
            writeln!(f, "{phase:<26}{spread}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Counts = Counts {
        sent: 10,
        acknowledged: 10,
        failed_attempts: 3,
        delivered: 20,
        resumed: 2,
        lost: 0,
        repeated: 0,
        disordered: 0,
        invented: 0,
    };

    fn report(counts: Counts, problems: &[&str]) -> Report {
        Report {
            counts,
            times: Times::default(),
            problems: problems.iter().map(|&problem| problem.to_owned()).collect(),
            followers: 2,
            killed: Killed::default(),
            load: Duration::from_mins(1),
        }
    }

    #[test]
    fn every_fault_makes_the_program_fail() {
        assert!(report(CLEAN, &[]).is_clean());
        for counts in [
            Counts { lost: 1, ..CLEAN },
            Counts { repeated: 1, ..CLEAN },
            Counts { disordered: 1, ..CLEAN },
            Counts { invented: 1, ..CLEAN },
            Counts { acknowledged: 9, ..CLEAN },
            Counts::default(),
        ] {
            assert!(!report(counts, &[]).is_clean(), "{counts:?}");
        }
        assert!(!report(CLEAN, &["a cursor was refused"]).is_clean());
    }

    #[test]
    fn a_report_says_what_was_lost_and_repeated() {
        let text = report(Counts { lost: 7, repeated: 8, ..CLEAN }, &["refused"]).to_string();
        for line in ["lost          7", "repeated      8", "problem       refused"] {
            assert!(text.lines().any(|one| one == line), "{text}");
        }
    }
}
