use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::rights::Rights;

/// When a stream ends by itself, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) at: Instant,
    pub(super) reason: &'static str,
}

impl End {
    /// At the end of the rights or after about `age`, a fifth more or less.
    pub(super) fn of(age: Duration, rights: &Rights, now: Instant) -> Self {
        let rotation = now + age.mul_f64(rand::rng().random_range(0.8..=1.2));
        Self { at: rotation, reason: "rotate" }.within(rights)
    }

    /// The same, or the end of these rights if that comes first.
    pub(super) fn within(self, rights: &Rights) -> Self {
        match rights.ends() {
            Some(end) if end < self.at => Self { at: end, reason: "expired" },
            _ => self,
        }
    }
}

/// When to come back after the end of a stream: soon where the next is served
/// by the same server, spread out where everybody is sent away at once.
pub(super) fn reconnect_after(reason: &str) -> Duration {
    let millis = Duration::from_millis;
    match reason {
        "rotate" | "expired" => spread(millis(100), millis(1_000)),
        "draining" => spread(millis(250), millis(5_000)),
        _ => spread(millis(1_000), millis(10_000)),
    }
}

/// A random time between two, so that clients do not come back all at once;
/// within what browsers may be told, 0.1 to 60 seconds.
pub(super) fn spread(least: Duration, most: Duration) -> Duration {
    let bound =
        |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(100, 60_000);
    Duration::from_millis(rand::rng().random_range(bound(least)..=bound(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_never_told_to_come_back_at_once() {
        for seconds in [0, 1, 3_600] {
            let pause = spread(Duration::ZERO, Duration::from_secs(seconds));
            assert!((100..=60_000).contains(&pause.as_millis()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rights_end_a_stream_before_its_age_does() {
        let (now, age) = (Instant::now(), Duration::from_mins(10));
        let end = End::of(age, &Rights::everything(), now);
        assert_eq!(end.reason, "rotate");
        assert!((now + age * 4 / 5..=now + age * 6 / 5).contains(&end.at));
        let second = Duration::from_secs(1);
        let end = End::of(age, &Rights::everything().lasting(second), now);
        assert_eq!((end.at, end.reason), (now + second, "expired"));
    }
}
