use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use downlink::{Filter, Position};
use tokio::time::Instant;

use super::narrower::is_within;
use super::registry::Registration;
use downlink::live::Principal;

/// How long a poll is expected back.
const RETURN_TIMEOUT: Duration = Duration::from_mins(1);

/// How many clients are expected back. Beyond, one is not told of wider rights.
const MAX_EXPECTED: usize = 16_384;

/// How many of one principal. The oldest make room.
const MAX_OF_PRINCIPAL: usize = 64;

/// How often what is no longer expected is searched for if there is no room.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Polls that were answered and streams that ended, until their clients are back: what changes
/// in between concerns them as if they had stayed.
#[derive(Default)]
pub(super) struct Lingering(Mutex<State>);

#[derive(Default)]
struct State {
    /// The oldest first.
    expected: HashMap<Principal, Vec<Answered>>,
    count: usize,
    swept: Option<Instant>,
}

/// What was answered or ended, and the rights of then.
pub(super) struct Answered {
    registration: Registration,
    filter: Filter,
    /// With which cursor its client returns, if that is known.
    cursor: Option<Position>,
    /// Beyond this position its client has nothing.
    sent: Position,
    since: Instant,
}

/// What the rights of a client are, compared with those of when it was here before.
pub(super) enum Return {
    /// It was not, or nothing has become visible.
    Known,
    /// They have changed, and something may be visible that was hidden.
    Wider,
    /// The same, but no change is known. This was visible before.
    Ahead(Filter),
}

impl Answered {
    /// A page or a poll, with the cursor of its answer.
    pub(super) fn page(registration: Registration, filter: Filter, cursor: Position) -> Self {
        let (since, sent) = (Instant::now(), cursor);
        Self { registration, filter, cursor: Some(cursor), sent, since }
    }

    /// A stream that was sent nothing beyond this position.
    pub(super) fn stream(registration: Registration, filter: Filter, sent: Position) -> Self {
        Self { registration, filter, cursor: None, sent, since: Instant::now() }
    }

    fn is_recent(&self) -> bool {
        self.since.elapsed() < RETURN_TIMEOUT
    }

    fn is_of(&self, cursor: Position) -> bool {
        self.cursor == Some(cursor)
    }

    /// Not if its answer is known and ended before. What a stream was sent is not known as well.
    fn may_be_of(&self, cursor: Position) -> bool {
        self.cursor.is_none_or(|sent| cursor <= sent)
    }

    /// Whether rights have changed of which a client with this cursor may not know. What is sent
    /// may overtake the change, so the position of the change alone does not tell.
    fn has_changed_for(&self, cursor: Position) -> bool {
        self.registration.changed_at().is_some_and(|at| cursor < at || cursor <= self.sent)
    }

    fn compare(&self, filter: &Filter, cursor: Position) -> Return {
        if is_within(filter, &self.filter) {
            Return::Known
        } else if self.has_changed_for(cursor) {
            Return::Wider
        } else if self.registration.has_changed() {
            // After what its client has, which so is another one.
            Return::Known
        } else {
            Return::Ahead(self.filter.clone())
        }
    }
}

impl Lingering {
    pub(super) fn expect(&self, answered: Answered) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.make_room();
        let is_full = state.count >= MAX_EXPECTED;
        let State { expected, count, .. } = &mut *state;
        let own = expected.entry(answered.registration.principal().clone()).or_default();
        if !own.is_empty() && (is_full || own.len() >= MAX_OF_PRINCIPAL) {
            own.remove(0);
            *count -= 1;
        } else if is_full {
            expected.remove(answered.registration.principal());
            return;
        }
        own.push(answered);
        *count += 1;
    }

    /// Compares the rights of a client that has come back with this cursor with those of
    /// everything that may have been its own: if there is a poll that was answered with it, and
    /// since then nothing has changed, with that poll, which is then no longer expected. The
    /// others stay expected, because the client may be another one, or the answer may be lost.
    pub(super) fn returned(
        &self,
        principal: &Principal,
        cursor: Position,
        filter: &Filter,
    ) -> Return {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget_old(principal);
        let Some(expected) = state.expected.get_mut(principal) else { return Return::Known };
        let is_own = |one: &Answered| one.is_of(cursor) && !one.registration.has_changed();
        if let Some(own) = expected.iter().position(is_own) {
            let own = expected.remove(own);
            if expected.is_empty() {
                state.expected.remove(principal);
            }
            state.count -= 1;
            drop(state);
            return own.compare(filter, cursor);
        }
        let candidates = expected.iter().filter(|one| one.may_be_of(cursor));
        let mut found = Return::Known;
        for compared in candidates.map(|one| one.compare(filter, cursor)) {
            match compared {
                Return::Wider => return Return::Wider,
                Return::Ahead(before) => found = Return::Ahead(before),
                Return::Known => {}
            }
        }
        found
    }
}

impl State {
    fn forget_old(&mut self, principal: &Principal) {
        let Some(polls) = self.expected.get_mut(principal) else { return };
        let before = polls.len();
        polls.retain(Answered::is_recent);
        self.count -= before - polls.len();
        if polls.is_empty() {
            self.expected.remove(principal);
        }
    }

    fn make_room(&mut self) {
        let is_swept = self.swept.is_some_and(|swept| swept.elapsed() < SWEEP_INTERVAL);
        if self.count < MAX_EXPECTED || is_swept {
            return;
        }
        self.swept = Some(Instant::now());
        self.expected.retain(|_, polls| {
            polls.retain(Answered::is_recent);
            !polls.is_empty()
        });
        self.count = self.expected.values().map(Vec::len).sum();
    }
}
