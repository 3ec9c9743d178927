use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use downlink::id::ProjectionId;
use downlink::projection::{Lease, LeaseOutcome, LeaseToken};
use tokio::time::Instant;

use crate::model_bug::ModelBug;

/// Leases that are correct except for this bug.
#[derive(Debug)]
pub(crate) struct Leases {
    bug: Option<ModelBug>,
    held: Mutex<HashMap<ProjectionId, (LeaseToken, Instant)>>,
}

impl Leases {
    pub(crate) fn new(bug: Option<ModelBug>) -> Self {
        Self { bug, held: Mutex::default() }
    }

    pub(crate) fn take(&self, id: &ProjectionId, lease: Lease) -> LeaseOutcome {
        let now = Instant::now();
        let mut held = self.locked();
        if let Some((token, until)) = held.get(&self.key(id))
            && *token != lease.token()
            && (*until > now || self.is(ModelBug::NeverLetsLeasesExpire))
            && !self.is(ModelBug::LeasesToEveryWorker)
        {
            return LeaseOutcome::HeldByAnother { remaining: until.duration_since(now) };
        }
        held.insert(self.key(id), (lease.token(), now + lease.duration()));
        LeaseOutcome::Held
    }

    /// Whether a step with this lease may be made.
    pub(crate) fn prolong(&self, id: &ProjectionId, lease: Option<Lease>) -> bool {
        let Some(lease) = lease.filter(|_| !self.is(ModelBug::IgnoresTheLeaseOfAStep)) else {
            return true;
        };
        let now = Instant::now();
        let mut held = self.locked();
        let Some((token, until)) = held.get_mut(&self.key(id)) else { return false };
        if *token != lease.token() || (self.is(ModelBug::RefusesLateSteps) && *until < now) {
            return false;
        }
        if !self.is(ModelBug::ProlongsNoLeaseInAStep) {
            *until = now + lease.duration();
        }
        true
    }

    pub(crate) fn release(&self, id: &ProjectionId, token: LeaseToken) {
        let mut held = self.locked();
        let is_own = held.get(&self.key(id)).is_some_and(|(holder, _)| *holder == token);
        if !self.is(ModelBug::KeepsReleasedLeases)
            && (is_own || self.is(ModelBug::ReleasesTheLeasesOfOthers))
        {
            held.remove(&self.key(id));
        }
    }

    fn key(&self, id: &ProjectionId) -> ProjectionId {
        if self.is(ModelBug::SharesLeasesOfVersions) {
            return ProjectionId::new(id.name(), 0).expect("a valid name");
        }
        id.clone()
    }

    fn is(&self, bug: ModelBug) -> bool {
        self.bug == Some(bug)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<ProjectionId, (LeaseToken, Instant)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
