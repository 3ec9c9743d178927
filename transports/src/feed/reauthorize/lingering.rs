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

/// Polls that were answered, until their clients poll again: what changes between two
/// polls concerns them as if they had stayed.
#[derive(Default)]
pub(super) struct Lingering(Mutex<State>);

#[derive(Default)]
struct State {
    expected: HashMap<Principal, Vec<Answered>>,
    count: usize,
}

/// A poll that was answered, and the rights of then.
pub(super) struct Answered {
    pub(super) registration: Registration,
    pub(super) filter: Filter,
    pub(super) at: Instant,
}

impl Lingering {
    pub(super) fn expect(&self, registration: Registration, filter: Filter) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.count >= MAX_EXPECTED {
            state.forget_all_old();
        }
        let principal = registration.principal().clone();
        state.forget_old(&principal);
        let own = state.expected.get(&principal).map_or(0, Vec::len);
        if state.count < MAX_EXPECTED && own < MAX_OF_PRINCIPAL {
            let answered = Answered { registration, filter, at: Instant::now() };
            state.expected.entry(principal).or_default().push(answered);
            state.count += 1;
        }
    }

    /// What is expected back of this principal and may be what has come back with a cursor
    /// at this position: first of all what ended before its rights changed.
    pub(super) fn returned(&self, principal: &Principal, at: Position) -> Option<Answered> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget_old(principal);
        let expected = state.expected.get_mut(principal)?;
        let changed = expected.iter().position(|poll| poll.registration.has_changed_after(at));
        let poll = expected.swap_remove(changed.unwrap_or_default());
        if expected.is_empty() {
            state.expected.remove(principal);
        }
        state.count -= 1;
        Some(poll)
    }
}

impl State {
    fn forget_old(&mut self, principal: &Principal) {
        let Some(polls) = self.expected.get_mut(principal) else { return };
        let before = polls.len();
        polls.retain(|poll| poll.at.elapsed() < RETURN_TIMEOUT);
        self.count -= before - polls.len();
        if polls.is_empty() {
            self.expected.remove(principal);
        }
    }

    fn forget_all_old(&mut self) {
        self.expected.retain(|_, polls| {
            polls.retain(|poll| poll.at.elapsed() < RETURN_TIMEOUT);
            !polls.is_empty()
        });
        self.count = self.expected.values().map(Vec::len).sum();
    }
}
