use std::time::Duration;

use downlink::limits::MAX_WAIT;
use tokio::time::Instant;

use super::transport_kind::TransportKind;

/// The longest time between two tries to climb, in those at first.
const LONGEST_CLIMB: u32 = 12;

/// Transports to try, the best first.
///
/// A follower falls to the next transport when one does not come to
/// [`Frame::Ready`](downlink::Frame::Ready) in time, as behind a proxy that
/// strips `Upgrade` or holds streams back: at once if it is certain that it
/// never will, and otherwise after a few tries. A server that cannot be reached
/// or that refuses by itself is no reason to fall.
///
/// From a lower transport it climbs back: after a while it opens a better one
/// beside the connection that it has, and changes over once that one is ready,
/// at the cursor where it is. Nothing is lost or repeated by a change.
///
/// # Examples
///
/// ```
/// use downlink::Endpoint;
/// use downlink_transports::client::{Client, Ladder};
///
/// let feed = Endpoint::new("http://feed.example");
/// let client = Client::new(feed).with_transport(Ladder::best());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Ladder {
    transports: Vec<TransportKind>,
    tries: u32,
    ready_deadline: Duration,
    climb_after: Duration,
}

impl From<TransportKind> for Ladder {
    /// This transport alone.
    fn from(transport: TransportKind) -> Self {
        Self {
            transports: vec![transport],
            tries: 2,
            ready_deadline: Duration::from_secs(10),
            climb_after: Duration::from_mins(5),
        }
    }
}

impl Ladder {
    /// Every transport that this crate was built with: WebSocket, then
    /// server-sent events, then long-poll.
    pub fn best() -> Self {
        let all = [
            #[cfg(feature = "websocket")]
            TransportKind::WebSocket,
            TransportKind::Sse,
            #[cfg(feature = "long-poll")]
            TransportKind::LongPoll,
        ];
        let mut ladder = Self::from(all[0]);
        ladder.transports = all.to_vec();
        ladder
    }

    /// Adds a transport to fall to if all those before it do not come through.
    pub fn or(mut self, transport: TransportKind) -> Self {
        if !self.transports.contains(&transport) {
            self.transports.push(transport);
        }
        self
    }

    /// How often in a row a transport may fail to become ready before the next
    /// one is taken: twice by default, at least once.
    pub fn with_tries(mut self, tries: u32) -> Self {
        self.tries = tries.max(1);
        self
    }

    /// How long a connection may take to become ready while there is another
    /// transport to fall to: 10 seconds by default, a day at most.
    pub fn with_ready_deadline(mut self, deadline: Duration) -> Self {
        self.ready_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// How long to stay with a lower transport before a better one is tried
    /// again: five minutes by default, a month at most; up to twice that, at
    /// random, and twice as long after each try in vain, up to twelve times.
    pub fn with_climb_after(mut self, time: Duration) -> Self {
        self.climb_after = time.min(Duration::from_hours(30 * 24));
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

/// Where on its ladder a follower stands.
#[derive(Clone, Debug)]
pub(super) struct Rung {
    ladder: Ladder,
    place: usize,
    failures: u32,
    vain_climbs: u32,
}

impl Rung {
    pub(super) fn top_of(ladder: Ladder) -> Self {
        Self { ladder, place: 0, failures: 0, vain_climbs: 0 }
    }

    pub(super) fn transport(&self) -> TransportKind {
        self.ladder.transports[self.place]
    }

    /// Until when a connection that begins now has to be ready; `None` if there
    /// is nothing to fall to.
    pub(super) fn ready_by(&self) -> Option<Instant> {
        let is_last = self.place + 1 == self.ladder.transports.len();
        (!is_last).then(|| Instant::now() + self.ladder.ready_deadline)
    }

    /// The transports above.
    pub(super) fn better(&self) -> Vec<TransportKind> {
        self.ladder.transports[..self.place].to_vec()
    }

    /// This connection became ready. Says when to look for a better transport.
    pub(super) fn holds(&mut self) -> Option<Instant> {
        self.failures = 0;
        (self.place > 0).then(|| Instant::now() + self.climb_pause())
    }

    /// This transport did not come through, and `never` will if that is certain.
    /// Whether there is another one now.
    pub(super) fn falls(&mut self, never: bool) -> bool {
        self.failures += 1;
        let is_last = self.place + 1 == self.ladder.transports.len();
        if is_last || (!never && self.failures < self.ladder.tries) {
            return false;
        }
        (self.place, self.failures) = (self.place + 1, 0);
        true
    }

    /// A better transport is ready.
    pub(super) fn climbs_to(&mut self, transport: TransportKind) {
        self.place =
            self.ladder.transports().position(|known| known == transport).unwrap_or_default();
        (self.failures, self.vain_climbs) = (0, 0);
    }

    /// None of the better transports came through. Says when to look again.
    pub(super) fn stays(&mut self) -> Instant {
        self.vain_climbs += 1;
        Instant::now() + self.climb_pause()
    }

    fn climb_pause(&self) -> Duration {
        let times = 1_u32.checked_shl(self.vain_climbs).unwrap_or(LONGEST_CLIMB);
        let pause = self.ladder.climb_after.saturating_mul(times.min(LONGEST_CLIMB));
        pause.mul_f64(rand::random_range(1.0..=2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        Ladder::from(TransportKind::Sse).or(TransportKind::LongPoll)
    }

    #[test]
    fn all_transports_are_tried_the_best_first() {
        let names: Vec<_> = Ladder::best().transports().map(TransportKind::name).collect();
        assert_eq!(names.last(), Some(&"long-poll"));
        let sse = names.iter().position(|name| *name == "sse");
        assert_eq!(sse, Some(names.len() - 2));
        assert_eq!(ladder().or(TransportKind::Sse), ladder());
    }

    #[tokio::test(start_paused = true)]
    async fn it_falls_after_some_tries_or_at_once() {
        let mut rung = Rung::top_of(ladder());
        assert!(rung.ready_by().is_some());
        assert!(!rung.falls(false));
        assert!(rung.holds().is_none(), "it came through in between");
        assert!(!rung.falls(false) && rung.falls(false));
        assert_eq!(rung.transport(), TransportKind::LongPoll);
        assert!(rung.ready_by().is_none() && !rung.falls(true), "there is nothing below");
        let mut rung = Rung::top_of(ladder());
        assert!(rung.falls(true));
    }

    #[tokio::test(start_paused = true)]
    async fn it_looks_up_less_and_less_often() {
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        let mut rung = Rung::top_of(ladder().with_climb_after(minute));
        rung.falls(true);
        let first = rung.holds().unwrap() - now;
        assert!((minute..=minute * 2).contains(&first));
        let later: Vec<_> = (0..40).map(|_| rung.stays() - now).collect();
        assert!((minute * 2..=minute * 4).contains(&later[0]));
        assert!(later[5..].iter().all(|pause| (minute * 12..=minute * 24).contains(pause)));
        assert_eq!(rung.better(), [TransportKind::Sse]);
        rung.climbs_to(TransportKind::Sse);
        assert_eq!((rung.transport(), rung.holds()), (TransportKind::Sse, None));
    }
}
