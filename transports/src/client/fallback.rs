use std::time::Duration;

use downlink::limits::MAX_WAIT;
use tokio::time::Instant;

use super::transport_kind::TransportKind;

/// The longest delay before an upgrade, as a multiple of the first.
const MAX_UPGRADE_FACTOR: u32 = 12;

/// Transports in the order of preference.
///
/// Falls back if a transport does not become
/// [`Ready`](downlink::transport::Frame::Ready) in time, for example behind a
/// proxy that strips `Upgrade` or buffers streams: at once if it can never work,
/// otherwise, and once the feed was reached, after
/// [`with_attempts`](Self::with_attempts). Does not fall back if the server is
/// unreachable or itself refuses.
///
/// After a while the follower tries to upgrade: it opens a connection with a
/// preferred transport in addition to the one that it has, and switches once that
/// one is ready, at its current cursor. Switching loses and repeats nothing.
///
/// # Examples
///
/// ```
/// use downlink::transport::Endpoint;
/// use downlink_transports::client::{Client, Fallback};
///
/// let feed = Endpoint::new("http://feed.example");
/// let client = Client::new(feed).with_transport(Fallback::all());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fallback {
    transports: Vec<TransportKind>,
    attempts: u32,
    ready_deadline: Duration,
    upgrade_after: Duration,
}

impl From<TransportKind> for Fallback {
    /// This transport alone.
    fn from(transport: TransportKind) -> Self {
        Self {
            transports: vec![transport],
            attempts: 2,
            ready_deadline: Duration::from_secs(10),
            upgrade_after: Duration::from_mins(5),
        }
    }
}

impl Fallback {
    /// All transports that this crate was built with: WebSocket, then
    /// server-sent events, then long-poll.
    pub fn all() -> Self {
        let all = [
            #[cfg(feature = "websocket")]
            TransportKind::WebSocket,
            TransportKind::Sse,
            #[cfg(feature = "long-poll")]
            TransportKind::LongPoll,
        ];
        let mut fallback = Self::from(all[0]);
        fallback.transports = all.to_vec();
        fallback
    }

    /// Adds a transport to fall back to if none of those before it works.
    pub fn or(mut self, transport: TransportKind) -> Self {
        if !self.transports.contains(&transport) {
            self.transports.push(transport);
        }
        self
    }

    /// Sets how often in a row a transport may fail to become ready before the
    /// next one is used: twice by default, at least once.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets how long a connection may take to become ready while there is another
    /// transport to fall back to: 10 seconds by default, a day at most.
    pub fn with_ready_deadline(mut self, deadline: Duration) -> Self {
        self.ready_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// Sets how long to stay with a transport before a preferred one is tried
    /// again: five minutes by default, a month at most.
    ///
    /// Randomized to one to two times this. Each failed upgrade doubles the wait,
    /// up to twelve times.
    pub fn with_upgrade_after(mut self, time: Duration) -> Self {
        self.upgrade_after = time.min(Duration::from_hours(30 * 24));
        self
    }

    pub(super) fn first(&self) -> TransportKind {
        self.transports[0]
    }

    pub(super) fn transports(&self) -> impl Iterator<Item = TransportKind> {
        self.transports.iter().copied()
    }

    pub(super) fn ready_deadline(&self) -> Duration {
        self.ready_deadline
    }
}

/// The transport in use, and how it fared.
#[derive(Clone, Debug)]
pub(super) struct FallbackState {
    fallback: Fallback,
    current: usize,
    failures: u32,
    failed_upgrades: u32,
}

impl FallbackState {
    pub(super) fn new(fallback: Fallback) -> Self {
        Self { fallback, current: 0, failures: 0, failed_upgrades: 0 }
    }

    pub(super) fn transport(&self) -> TransportKind {
        self.fallback.transports[self.current]
    }

    /// When a connection that is opened now has to be ready; `None` if there is
    /// no transport to fall back to.
    pub(super) fn ready_by(&self) -> Option<Instant> {
        (!self.is_last()).then(|| Instant::now() + self.fallback.ready_deadline)
    }

    /// The transports that are preferred to this one.
    pub(super) fn preferred(&self) -> Vec<TransportKind> {
        self.fallback.transports[..self.current].to_vec()
    }

    pub(super) fn ready_deadline(&self) -> Duration {
        self.fallback.ready_deadline()
    }

    /// Records that a connection became ready. Returns when to try a preferred
    /// transport, if there is one.
    pub(super) fn on_ready(&mut self) -> Option<Instant> {
        self.failures = 0;
        (self.current > 0).then(|| Instant::now() + self.upgrade_delay())
    }

    /// Records that the transport failed, or cannot work at all if the failure
    /// `is_permanent`. Returns whether this changed the transport.
    pub(super) fn on_failure(&mut self, is_permanent: bool) -> bool {
        self.failures += 1;
        if self.is_last() || (!is_permanent && self.failures < self.fallback.attempts) {
            return false;
        }
        (self.current, self.failures) = (self.current + 1, 0);
        true
    }

    /// Records that this preferred transport is ready.
    pub(super) fn on_upgrade(&mut self, transport: TransportKind) {
        self.current =
            self.fallback.transports().position(|known| known == transport).unwrap_or_default();
        (self.failures, self.failed_upgrades) = (0, 0);
    }

    /// Records that no preferred transport became ready. Returns when to try
    /// again.
    pub(super) fn on_failed_upgrade(&mut self) -> Instant {
        self.failed_upgrades += 1;
        Instant::now() + self.upgrade_delay()
    }

    fn is_last(&self) -> bool {
        self.current + 1 == self.fallback.transports.len()
    }

    fn upgrade_delay(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failed_upgrades).unwrap_or(MAX_UPGRADE_FACTOR);
        let delay = self.fallback.upgrade_after.saturating_mul(factor.min(MAX_UPGRADE_FACTOR));
        delay.mul_f64(rand::random_range(1.0..=2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sse_or_long_poll() -> Fallback {
        Fallback::from(TransportKind::Sse).or(TransportKind::LongPoll)
    }

    #[test]
    fn all_transports_come_in_the_order_of_preference() {
        let names: Vec<_> = Fallback::all().transports().map(TransportKind::name).collect();
        assert_eq!(names.last(), Some(&"long-poll"));
        let sse = names.iter().position(|name| *name == "sse");
        assert_eq!(sse, Some(names.len() - 2));
        assert_eq!(sse_or_long_poll().or(TransportKind::Sse), sse_or_long_poll());
    }

    #[tokio::test(start_paused = true)]
    async fn it_falls_back_after_some_attempts_or_at_once() {
        let mut state = FallbackState::new(sse_or_long_poll());
        assert!(state.ready_by().is_some());
        assert!(!state.on_failure(false));
        assert!(state.on_ready().is_none(), "there is no preferred transport");
        assert!(!state.on_failure(false) && state.on_failure(false));
        assert_eq!(state.transport(), TransportKind::LongPoll);
        assert!(state.ready_by().is_none() && !state.on_failure(true), "this is the last one");
        let mut state = FallbackState::new(sse_or_long_poll());
        assert!(state.on_failure(true));
    }

    #[tokio::test(start_paused = true)]
    async fn upgrades_are_tried_less_and_less_often() {
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        let mut state = FallbackState::new(sse_or_long_poll().with_upgrade_after(minute));
        state.on_failure(true);
        let first = state.on_ready().unwrap() - now;
        assert!((minute..=minute * 2).contains(&first));
        let later: Vec<_> = (0..40).map(|_| state.on_failed_upgrade() - now).collect();
        assert!((minute * 2..=minute * 4).contains(&later[0]));
        assert!(later[5..].iter().all(|delay| (minute * 12..=minute * 24).contains(delay)));
        assert_eq!(state.preferred(), [TransportKind::Sse]);
        state.on_upgrade(TransportKind::Sse);
        assert_eq!((state.transport(), state.on_ready()), (TransportKind::Sse, None));
    }
}
