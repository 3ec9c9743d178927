use std::time::Duration;

use super::Result;

/// Durations of repetitions, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(micros(time));
    }

    /// Adds `time` minus `than`, which can be negative.
    pub(crate) fn add_difference(&mut self, time: Duration, than: Duration) {
        self.0.push(micros(time) - micros(than));
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn count(&self) -> f64 {
        float(self.0.len())
    }

    /// The given percentile.
    pub(crate) fn percentile(&self, percent: usize) -> Result<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let last =
            sorted.len().checked_sub(1).ok_or("nothing was measured: choose a longer --seconds")?;
        Ok(sorted[(sorted.len() * percent / 100).min(last)])
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(crate) fn float(number: usize) -> f64 {
    number as f64
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
