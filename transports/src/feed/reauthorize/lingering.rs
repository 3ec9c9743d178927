use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use downlink::{Filter, Position};
use tokio::time::Instant;

use super::registry::Registration;
use downlink::live::Principal;

/// How long a poll is expected back.
const RETURN_TIMEOUT: Duration = Duration::from_mins(1);

/// How many polls are expected back. Beyond, a client is not told of wider rights.
const MAX_EXPECTED: usize = 4_096;

/// How many of one principal, so that none takes the place of all others.
const MAX_OF_PRINCIPAL: usize = 64;

/// Polls that were answered and streams that ended, until their clients are back: what changes
/// in between concerns them as if they had stayed.
#[derive(Default)]
pub(super) struct Lingering(Mutex<State>);

#[derive(Default)]
struct State {
    expected: HashMap<Principal, Vec<Answered>>,
    count: usize,
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

/// How a client was here before.
pub(super) struct Before {
    pub(super) filter: Filter,
    pub(super) has_changed: bool,
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
}

impl Lingering {
    pub(super) fn expect(&self, answered: Answered) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.count >= MAX_EXPECTED {
            state.forget_all_old();
        }
        let principal = answered.registration.principal().clone();
        state.forget_old(&principal);
        let own = state.expected.get(&principal).map_or(0, Vec::len);
        if state.count < MAX_EXPECTED && own < MAX_OF_PRINCIPAL {
            state.expected.entry(principal).or_default().push(answered);
            state.count += 1;
        }
    }

    /// What is expected back of this principal and may be what has come back with this cursor:
    /// first of all the poll that was answered with it, then what ended before its rights
    /// changed. A stream of those stays expected, because the client may be another one.
    pub(super) fn returned(&self, principal: &Principal, cursor: Position) -> Option<Before> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget_old(principal);
        let expected = state.expected.get_mut(principal)?;
        let fits = |one: &Answered| (one.is_of(cursor), one.has_changed_for(cursor));
        let candidates = (0..expected.len()).filter(|&index| expected[index].may_be_of(cursor));
        let best = candidates.max_by_key(|&index| fits(&expected[index]))?;
        let (is_certain, has_changed) = fits(&expected[best]);
        if has_changed && !is_certain {
            return Some(Before { filter: expected[best].filter.clone(), has_changed });
        }
        let answered = expected.swap_remove(best);
        if expected.is_empty() {
            state.expected.remove(principal);
        }
        state.count -= 1;
        drop(state);
        Some(Before { filter: answered.filter, has_changed })
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

    fn forget_all_old(&mut self) {
        self.expected.retain(|_, polls| {
            polls.retain(Answered::is_recent);
            !polls.is_empty()
        });
        self.count = self.expected.values().map(Vec::len).sum();
    }
}
