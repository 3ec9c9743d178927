use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{Phase, Snapshot};

/// How often the kernel must have repeated something without an answer before the
/// peer counts as dead. A single packet may get lost, and a probe of a closed window
/// is repeated only after up to two minutes.
const MIN_UNANSWERED: u8 = 3;

/// How long the last bytes of a body may take from the kernel to the handler after
/// its sender has closed its half.
const TRUNCATED_AFTER: Duration = Duration::from_secs(1);

/// How long a connection may be in which state.
#[derive(Clone, Copy, Debug)]
pub(super) struct LivenessLimits {
    /// Without an answer to what the kernel repeats.
    pub(super) dead: Duration,
    /// Without an acknowledged byte although something is to be sent.
    pub(super) stuck: Duration,
    /// From the first byte of a request's head to its last.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) keep_alive: Duration,
}

/// What can be seen of a connection at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    pub(super) exchange: Snapshot,
    /// Whether something is to be sent or to be acknowledged.
    pub(super) is_waiting: bool,
    /// Grows while the peer reads.
    pub(super) progress: u64,
    /// How often something was sent again since bytes were acknowledged.
    pub(super) unanswered: u8,
    /// How long ago the peer's kernel has answered anything.
    pub(super) last_answer: Duration,
    pub(super) peer: PeerState,
}

/// Which half of the connection the peer has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerState {
    Open,
    /// It sends nothing more, and may read or be gone.
    HalfClosed,
    /// It has reset the connection.
    Gone,
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The peer's kernel does not answer.
    Dead,
    /// The peer does not read.
    Stuck,
    /// The head of a request did not arrive in time.
    HeadTimeout,
    /// No further request arrived in time.
    Idle,
    /// The peer has closed the connection, and does not wait for the response.
    Gone,
    /// The server waits no longer for the connection to end.
    Aborted,
}

impl Verdict {
    /// Whether nothing that arrives meanwhile changes it.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Dead | Self::Stuck | Self::Gone | Self::Aborted)
    }
}

/// What was observed of a connection so far.
#[derive(Debug)]
pub(super) struct History {
    exchange: Snapshot,
    exchange_since: Instant,
    progress: u64,
    /// Since when something is to be sent, without progress.
    waiting_since: Option<Instant>,
    /// Since when the peer has closed its half, without progress.
    half_closed_since: Option<Instant>,
    /// Since when something is repeated without an answer.
    unanswered_since: Option<Instant>,
    /// How many repetitions the kernel counted when it had an answer: it does not
    /// count anew if the answer acknowledges nothing new.
    answered: u8,
    observed_at: Instant,
}

impl History {
    pub(super) fn new(exchange: Snapshot, now: Instant) -> Self {
        Self {
            exchange,
            exchange_since: now,
            progress: 0,
            waiting_since: None,
            half_closed_since: None,
            unanswered_since: None,
            answered: 0,
            observed_at: now,
        }
    }

    /// Judges the connection by what is observed now and was observed before.
    pub(super) fn judge(
        &mut self,
        seen: &Observation,
        limits: &LivenessLimits,
        now: Instant,
    ) -> Option<Verdict> {
        self.add(seen, now);
        let is_over = |since: Option<Instant>, limit| {
            since.is_some_and(|since| now.duration_since(since) >= limit)
        };
        if is_over(self.unanswered_since, limits.dead)
            && seen.unanswered - self.answered >= MIN_UNANSWERED
        {
            return Some(Verdict::Dead);
        }
        if is_over(self.waiting_since, limits.stuck) {
            return Some(Verdict::Stuck);
        }
        if self.is_gone(seen, limits, now) {
            return Some(Verdict::Gone);
        }
        let in_phase = now.duration_since(self.exchange_since);
        match seen.exchange.phase() {
            _ if seen.exchange.has_body() => None,
            Phase::Head if in_phase >= limits.head => Some(Verdict::HeadTimeout),
            Phase::Idle if in_phase >= limits.keep_alive => Some(Verdict::Idle),
            _ => None,
        }
    }

    /// Whether the peer has closed its half for a while, and the body of its request
    /// has not ended.
    pub(super) fn is_truncated(&self, now: Instant) -> bool {
        let is_late = |since| now.duration_since(since) >= TRUNCATED_AFTER;
        self.exchange.has_body() && self.half_closed_since.is_some_and(is_late)
    }

    /// How long the peer has acknowledged nothing although something is to be sent.
    pub(super) fn stuck_for(&self, now: Instant) -> Duration {
        self.waiting_since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    fn add(&mut self, seen: &Observation, now: Instant) {
        if seen.exchange != self.exchange {
            (self.exchange, self.exchange_since) = (seen.exchange, now);
        }
        let has_progress = seen.progress != self.progress;
        self.progress = seen.progress;
        keep_first(&mut self.waiting_since, seen.is_waiting, has_progress, now);
        let is_half_closed = seen.peer == PeerState::HalfClosed;
        keep_first(&mut self.half_closed_since, is_half_closed, has_progress, now);
        let has_answer = seen.last_answer < now.duration_since(self.observed_at);
        if has_answer || seen.unanswered < self.answered {
            self.answered = seen.unanswered;
        }
        let is_unanswered = seen.unanswered > self.answered;
        keep_first(&mut self.unanswered_since, is_unanswered, false, now);
        self.observed_at = now;
    }

    /// A client that has closed its half gets its response. But it may as well be gone,
    /// like a closed `EventSource`, and a stream without events would last forever.
    fn is_gone(&self, seen: &Observation, limits: &LivenessLimits, now: Instant) -> bool {
        match (seen.peer, seen.exchange.phase()) {
            // Its task reads, and so sees the end by itself.
            (PeerState::Open, _) | (_, Phase::Upgraded) => false,
            (PeerState::Gone, _) | (PeerState::HalfClosed, Phase::EventStream) => true,
            (PeerState::HalfClosed, Phase::Handling | Phase::Responding) => {
                let since = self.half_closed_since.unwrap_or(now);
                !seen.is_waiting && now.duration_since(since) >= limits.dead
            }
            (PeerState::HalfClosed, _) => false,
        }
    }
}

/// The time since which something is so, counted anew if `restarts`.
fn keep_first(since: &mut Option<Instant>, is_so: bool, restarts: bool, now: Instant) {
    match since {
        Some(_) if is_so && !restarts => {}
        _ => *since = is_so.then_some(now),
    }
}

#[cfg(test)]
mod tests;
