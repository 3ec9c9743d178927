use std::sync::atomic::{AtomicU32, Ordering};

use super::handover::{HandedOver, Handover};

/// What a connection is busy with. Shared by its service, its socket and the
/// sweeper, each of which sees only a part.
#[derive(Debug)]
pub(super) struct Exchange {
    state: AtomicU32,
    /// Counts the requests, so that the end of one's body is not taken for another's.
    requests: AtomicU32,
    pub(super) handover: Handover,
}

/// A state, with a number that differs from that of the state before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Snapshot(u32);

/// The phases of one request after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The head of a request is expected: nothing was received on this connection,
    /// or a part of the head.
    Head,
    /// Everything was answered, and nothing received since.
    Idle,
    /// The service has a request, and has not responded.
    Handling,
    /// The service has responded, and the body of the response has not ended.
    Responding,
    /// As [`Responding`](Self::Responding), with a stream of server-sent events.
    EventStream,
    /// The response has ended, and is being written.
    Flushing,
    /// The connection does not carry HTTP any more.
    Upgraded,
}

const PHASES: [Phase; 7] = [
    Phase::Head,
    Phase::Idle,
    Phase::Handling,
    Phase::Responding,
    Phase::EventStream,
    Phase::Flushing,
    Phase::Upgraded,
];

const PHASE: u32 = 0b0111;

/// Set while the body of the last request is being read or discarded.
const BODY: u32 = 0b1000;

/// The lowest bit of the number.
const NUMBER: u32 = 0b1_0000;

impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU32::new(bits(Phase::Head)),
            requests: AtomicU32::new(0),
            handover: Handover::default(),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot(self.state.load(Ordering::Acquire))
    }

    /// Bytes were received.
    pub(super) fn received(&self) {
        self.change(|now| {
            (now.phase() == Phase::Idle && !now.has_body()).then_some((Phase::Head, false))
        });
    }

    /// A request was given to the service. Returns its number.
    pub(super) fn requested(&self, has_body: bool) -> u32 {
        let number = self.requests.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        self.change(|_| Some((Phase::Handling, has_body)));
        number
    }

    /// Nothing more is read of this request's body.
    pub(super) fn body_ended(&self, request: u32) {
        if self.requests.load(Ordering::Acquire) == request {
            self.change(|now| now.has_body().then_some((now.phase(), false)));
        }
    }

    /// The service has responded: the phase is that of the response's body.
    pub(super) fn responded(&self, phase: Phase) {
        self.change(|now| Some((phase, now.has_body())));
    }

    /// The service has responded with what the server writes itself.
    pub(super) fn hand_over(&self, response: HandedOver) {
        self.responded(Phase::EventStream);
        self.handover.put(response);
    }

    /// The body of the response has ended.
    pub(super) fn response_ended(&self) {
        self.change(|now| {
            let is_response = matches!(now.phase(), Phase::Responding | Phase::EventStream);
            is_response.then_some((Phase::Flushing, now.has_body()))
        });
    }

    /// Everything was written so far.
    pub(super) fn flushed(&self) {
        self.handover.flushed();
        self.change(|now| {
            (now.phase() == Phase::Flushing).then_some((Phase::Idle, now.has_body()))
        });
    }

    fn change(&self, next: impl Fn(Snapshot) -> Option<(Phase, bool)>) {
        let next = |now: u32| {
            let (phase, has_body) = next(Snapshot(now))?;
            let number = (now & !(PHASE | BODY)).wrapping_add(NUMBER);
            Some(number | bits(phase) | if has_body { BODY } else { 0 })
        };
        // Fails if there is no change.
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

impl Snapshot {
    pub(super) fn phase(self) -> Phase {
        PHASES[(self.0 & PHASE).min(6) as usize]
    }

    /// Whether the body of the last request is being read or discarded.
    pub(super) fn has_body(self) -> bool {
        self.0 & BODY != 0
    }

    /// Whether a response is under way that is worth finishing for a peer that has
    /// closed its half: one with an end.
    pub(super) fn outlives_half_close(self) -> bool {
        matches!(self.phase(), Phase::Handling | Phase::Responding | Phase::Flushing)
    }

    /// Whether what is written now is not part of a response of the service.
    pub(super) fn is_between_requests(self) -> bool {
        matches!(self.phase(), Phase::Head | Phase::Idle)
    }
}

fn bits(phase: Phase) -> u32 {
    phase as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_from_request_to_request() {
        let exchange = Exchange::new();
        let is = |phase| assert_eq!(exchange.snapshot().phase(), phase);
        is(Phase::Head);
        for body in [Phase::Responding, Phase::EventStream] {
            exchange.received();
            exchange.requested(false);
            is(Phase::Handling);
            exchange.flushed();
            exchange.response_ended();
            is(Phase::Handling);
            exchange.responded(body);
            exchange.flushed();
            is(body);
            exchange.response_ended();
            is(Phase::Flushing);
            exchange.flushed();
            is(Phase::Idle);
            exchange.received();
            is(Phase::Head);
        }
        exchange.responded(Phase::Upgraded);
        exchange.response_ended();
        exchange.flushed();
        is(Phase::Upgraded);
    }

    #[test]
    fn the_rest_of_a_body_is_not_the_next_head() {
        let exchange = Exchange::new();
        let request = exchange.requested(true);
        exchange.responded(Phase::Responding);
        exchange.response_ended();
        exchange.flushed();
        exchange.received();
        let reading = exchange.snapshot();
        assert!(reading.phase() == Phase::Idle && reading.has_body());
        exchange.body_ended(request.wrapping_sub(1));
        assert!(exchange.snapshot().has_body(), "the end of an earlier body");
        exchange.body_ended(request);
        let idle = exchange.snapshot();
        assert!(idle.phase() == Phase::Idle && !idle.has_body());
        assert_ne!(idle, reading);
        exchange.received();
        assert_eq!(exchange.snapshot().phase(), Phase::Head);
    }

    #[test]
    fn the_number_wraps() {
        let exchange = Exchange::new();
        exchange.state.store(!PHASE, Ordering::Release);
        exchange.requested(false);
        let snapshot = exchange.snapshot();
        assert!(snapshot.phase() == Phase::Handling && !snapshot.has_body());
    }
}
