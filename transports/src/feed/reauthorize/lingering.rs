use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use downlink::Filter;
use tokio::time::Instant;

use super::registry::Registration;
use downlink::live::Principal;

/// How long a poll is expected back.
const RETURN_TIMEOUT: Duration = Duration::from_mins(1);

/// How many polls are expected back. Beyond, a client is not told of wider rights.
const MAX_EXPECTED: usize = 4_096;

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
            state.forget_old();
        }
        if state.count < MAX_EXPECTED {
            let principal = registration.principal().clone();
            let answered = Answered { registration, filter, at: Instant::now() };
            state.expected.entry(principal).or_default().push(answered);
            state.count += 1;
        }
    }

    /// A poll of this principal that is expected, of whichever of its clients: first those
    /// whose rights have changed.
    pub(super) fn returned(&self, principal: &Principal) -> Option<Answered> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = state.expected.get_mut(principal)?;
        let changed = expected.iter().position(|poll| poll.registration.has_changed());
        let poll = expected.swap_remove(changed.unwrap_or_default());
        if expected.is_empty() {
            state.expected.remove(principal);
        }
        state.count -= 1;
        Some(poll)
    }
}

impl State {
    fn forget_old(&mut self) {
        self.expected.retain(|_, polls| {
            polls.retain(|poll| poll.at.elapsed() < RETURN_TIMEOUT);
            !polls.is_empty()
        });
        self.count = self.expected.values().map(Vec::len).sum();
    }
}
