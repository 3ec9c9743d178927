use std::time::Duration;

use rand::Rng;

/// How long a client waits before it reconnects after the end of a stream: a
/// short time if the same server serves the next one, and widely spread if all
/// clients are disconnected at once.
pub(super) fn reconnect_after(reason: &str) -> Duration {
    let millis = Duration::from_millis;
    match reason {
        "rotate" | "expired" | "rights" => jitter(millis(100), millis(1_000)),
        "draining" => jitter(millis(250), millis(5_000)),
        _ => jitter(millis(1_000), millis(10_000)),
    }
}

/// A random time between two, so that clients do not reconnect all at once,
/// clamped to the 0.1 to 60 seconds of the wire contract.
pub(super) fn jitter(least: Duration, most: Duration) -> Duration {
    let bound =
        |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(100, 60_000);
    Duration::from_millis(rand::rng().random_range(bound(least)..=bound(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_never_reconnects_immediately() {
        for seconds in [0, 1, 3_600] {
            let pause = jitter(Duration::ZERO, Duration::from_secs(seconds));
            assert!((100..=60_000).contains(&pause.as_millis()));
        }
    }
}
