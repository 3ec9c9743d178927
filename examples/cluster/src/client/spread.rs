use std::fmt;
use std::time::Duration;

/// The distribution of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Spread {
    pub(crate) fn of(durations: &mut [Duration]) -> Option<Self> {
        durations.sort_unstable();
        let longest = *durations.last()?;
        let at =
            |percent: usize| durations[(durations.len() * percent / 100).min(durations.len() - 1)];
        Some(Self { median: at(50), p99: at(99), longest })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for duration in [self.median, self.p99, self.longest] {
            write!(f, "{:>10.1}", duration.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_durations() {
        let mut durations: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let spread = Spread::of(&mut durations).unwrap();
        let [median, p99, longest] = [101, 199, 200].map(Duration::from_millis);
        assert_eq!(spread, Spread { median, p99, longest });
        assert_eq!(Spread::of(&mut []), None);
    }
}
