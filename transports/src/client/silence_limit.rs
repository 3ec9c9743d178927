use std::time::Duration;

use downlink::limits::MAX_WAIT;

/// The interval of heartbeats until the server announces its own.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);

/// The shortest limit, whatever interval a server announces.
const MIN: Duration = Duration::from_millis(100);

/// How long a connection may pass without a byte. Bytes count, not frames: a long
/// event on a slow connection is not silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct SilenceLimit {
    /// The limit that the caller asks for at least.
    min: Duration,
    heartbeat: Option<Duration>,
}

impl SilenceLimit {
    pub(super) fn new(min: Duration) -> Self {
        Self { min, heartbeat: Some(DEFAULT_HEARTBEAT) }
    }

    /// Sets the interval of the heartbeats that the server announces; `None` if it
    /// sends none.
    pub(super) fn expect_every(&mut self, heartbeat: Option<Duration>) {
        self.heartbeat = heartbeat;
    }

    /// Two missed heartbeats, and half of one for the network. `None` without
    /// heartbeats, when silence is no sign of anything.
    pub(super) fn get(&self) -> Option<Duration> {
        let heartbeat = self.heartbeat?.min(MAX_WAIT);
        Some((heartbeat * 5 / 2).max(self.min).max(MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_heartbeats_and_the_callers_limit_counts() {
        let second = Duration::from_secs(1);
        let mut limit = SilenceLimit::new(Duration::ZERO);
        assert_eq!(limit.get(), Some(DEFAULT_HEARTBEAT * 5 / 2));
        limit.expect_every(Some(60 * second));
        assert_eq!(limit.get(), Some(150 * second));
        limit.expect_every(None);
        assert_eq!(limit.get(), None);
        let mut limit = SilenceLimit::new(100 * second);
        assert_eq!(limit.get(), Some(100 * second));
        limit.expect_every(Some(second));
        assert_eq!(limit.get(), Some(100 * second));
        limit.expect_every(Some(60 * second));
        assert_eq!(limit.get(), Some(150 * second));
    }

    #[test]
    fn no_interval_makes_it_zero_or_overflows() {
        let mut limit = SilenceLimit::new(Duration::ZERO);
        limit.expect_every(Some(Duration::ZERO));
        assert_eq!(limit.get(), Some(MIN));
        limit.expect_every(Some(Duration::MAX));
        assert_eq!(limit.get(), Some(MAX_WAIT * 5 / 2));
    }
}
