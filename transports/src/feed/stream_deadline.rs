use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::rights::Rights;

/// When the server ends a stream, and the reason that `bye` gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamDeadline {
    pub(super) at: Instant,
    pub(super) reason: &'static str,
}

impl StreamDeadline {
    /// The end of the rights, or `age` plus or minus a fifth, whichever is first.
    pub(super) fn new(age: Duration, rights: &Rights, now: Instant) -> Self {
        let rotation = now + age.mul_f64(rand::rng().random_range(0.8..=1.2));
        Self { at: rotation, reason: "rotate" }.min_with_rights(rights)
    }

    /// This deadline, or the end of these rights if that is earlier.
    pub(super) fn min_with_rights(self, rights: &Rights) -> Self {
        match rights.ends() {
            Some(end) if end < self.at => Self { at: end, reason: "expired" },
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_its_rights_or_at_its_age() {
        let (now, age) = (Instant::now(), Duration::from_mins(10));
        let deadline = StreamDeadline::new(age, &Rights::everything(), now);
        assert_eq!(deadline.reason, "rotate");
        assert!((now + age * 4 / 5..=now + age * 6 / 5).contains(&deadline.at));
        let second = Duration::from_secs(1);
        let deadline = StreamDeadline::new(age, &Rights::everything().with_lifetime(second), now);
        assert_eq!((deadline.at, deadline.reason), (now + second, "expired"));
    }
}
