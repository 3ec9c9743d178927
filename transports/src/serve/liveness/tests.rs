use super::*;
use crate::serve::exchange::Exchange;

const LIMITS: LivenessLimits =
    LivenessLimits { dead: secs(20), stuck: secs(300), head: secs(10), keep_alive: secs(75) };

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A connection, observed every five seconds.
struct Watch {
    history: History,
    exchange: Exchange,
    seen: Observation,
    now: Instant,
}

impl Watch {
    /// A connection whose response is being written, and whose peer reads it.
    fn new() -> Self {
        let exchange = Exchange::new();
        let now = Instant::now();
        let history = History::new(exchange.snapshot(), now);
        exchange.requested(false);
        exchange.responded(Phase::Responding);
        let seen = Observation {
            exchange: exchange.snapshot(),
            is_waiting: true,
            progress: 0,
            unanswered: 0,
            last_answer: Duration::ZERO,
            peer: PeerState::Open,
        };
        Self { history, exchange, seen, now }
    }

    /// Observes until a verdict, and returns it with the time it took.
    fn verdict(&mut self, mut change: impl FnMut(u64, &mut Observation)) -> Option<(Verdict, u64)> {
        (1..500).map(|sweep| sweep * 5).find_map(|at| {
            self.now += secs(5);
            change(at, &mut self.seen);
            self.seen.exchange = self.exchange.snapshot();
            let verdict = self.history.judge(&self.seen, &LIMITS, self.now)?;
            Some((verdict, at))
        })
    }
}

#[test]
fn a_peer_whose_kernel_does_not_answer_is_dead() {
    // As recorded after a peer vanished: the time between two repetitions doubles.
    let unanswered = |at, seen: &mut Observation| {
        seen.unanswered = if at < 10 { 4 } else { 6 };
        seen.last_answer = secs(at);
    };
    assert_eq!(Watch::new().verdict(unanswered), Some((Verdict::Dead, 25)));
}

#[test]
fn a_peer_that_answers_probes_but_does_not_read_is_stuck() {
    // A probe is in flight at every other sweep, and is answered.
    let probed = |at, seen: &mut Observation| {
        seen.unanswered = u8::from(at % 10 == 0);
        seen.last_answer = secs(at % 120);
    };
    assert_eq!(Watch::new().verdict(probed), Some((Verdict::Stuck, 305)));
}

#[test]
fn duplicate_acknowledgements_are_answers() {
    // A window that shrank: what was sent is sent again every minute, and refused.
    let refused = |at: u64, seen: &mut Observation| {
        seen.unanswered = 9 + u8::try_from(at / 60).unwrap_or(u8::MAX - 9);
        seen.last_answer = secs(at.saturating_sub(5) % 60);
    };
    assert_eq!(Watch::new().verdict(refused), Some((Verdict::Stuck, 305)));
}

#[test]
fn a_probe_that_got_lost_is_not_a_dead_peer() {
    let lost = |at, seen: &mut Observation| {
        // Sent every two minutes, and lost once.
        seen.unanswered = u8::from((240..360).contains(&at));
        seen.last_answer = if seen.unanswered > 0 { secs(at - 120) } else { secs(at % 120) };
        seen.progress = at / 200;
    };
    let verdict = Watch::new().verdict(lost);
    assert_eq!(verdict, None);
}

#[test]
fn a_reader_with_long_gaps_is_alive() {
    // Measured of a reader of 250 bytes a second: gaps of up to 68 seconds.
    let slow = |at: u64, seen: &mut Observation| seen.progress = at / 70 * 17_000;
    assert_eq!(Watch::new().verdict(slow), None);
}

#[test]
fn the_time_to_be_stuck_begins_when_something_is_sent() {
    let mut watch = Watch::new();
    let late = |at, seen: &mut Observation| seen.is_waiting = at >= 1_000;
    assert_eq!(watch.verdict(late), Some((Verdict::Stuck, 1_300)));
    assert_eq!(watch.history.stuck_for(watch.now), secs(300));
}

#[test]
fn heads_and_pauses_have_limits_of_their_own() {
    let is_waiting = |is_waiting| move |_, seen: &mut Observation| seen.is_waiting = is_waiting;
    let mut watch = Watch::new();
    watch.exchange = Exchange::new();
    assert_eq!(watch.verdict(is_waiting(false)), Some((Verdict::HeadTimeout, 10)));
    let mut watch = Watch::new();
    watch.exchange.response_ended();
    watch.exchange.flushed();
    assert_eq!(watch.verdict(is_waiting(false)), Some((Verdict::Idle, 80)));
    watch.exchange.received();
    assert_eq!(watch.verdict(is_waiting(false)), Some((Verdict::HeadTimeout, 15)));
    for has_body in [false, true] {
        let watch = &mut Watch::new();
        watch.exchange.requested(has_body);
        assert_eq!(watch.verdict(is_waiting(false)), None);
    }
}

#[test]
fn the_body_of_an_answered_request_is_not_a_pause() {
    let mut watch = Watch::new();
    let request = watch.exchange.requested(true);
    watch.exchange.responded(Phase::Responding);
    watch.exchange.response_ended();
    watch.exchange.flushed();
    assert_eq!(watch.verdict(|_, seen| seen.is_waiting = false), None);
    watch.exchange.body_ended(request);
    assert_eq!(watch.verdict(|_, _| ()), Some((Verdict::Idle, 80)));
}

#[test]
fn a_response_is_finished_for_a_peer_that_has_closed_its_half() {
    let closed = |peer, is_waiting| {
        move |_, seen: &mut Observation| (seen.peer, seen.is_waiting) = (peer, is_waiting)
    };
    let mut watch = Watch::new();
    assert_eq!(watch.verdict(closed(PeerState::Gone, false)), Some((Verdict::Gone, 5)));
    // A handler that does not respond is not awaited forever, nor a stream with nothing to send.
    for is_handling in [true, false] {
        let mut watch = Watch::new();
        if is_handling {
            watch.exchange.requested(false);
        }
        assert_eq!(watch.verdict(closed(PeerState::HalfClosed, false)), Some((Verdict::Gone, 25)));
    }
    let mut watch = Watch::new();
    let reads = |at, seen: &mut Observation| {
        (seen.peer, seen.is_waiting) = (PeerState::HalfClosed, false);
        seen.progress = at / 15;
    };
    assert_eq!(watch.verdict(reads), None);
    let mut watch = Watch::new();
    watch.exchange.responded(Phase::EventStream);
    assert_eq!(watch.verdict(closed(PeerState::HalfClosed, true)), Some((Verdict::Gone, 5)));
}
