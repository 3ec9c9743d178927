use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::id::ProjectionId;
use crate::projection::{Lease, LeaseOutcome, LeaseToken};

/// The leases of projections in memory.
#[derive(Debug, Default)]
pub(super) struct MemoryLeases(Mutex<HashMap<ProjectionId, Held>>);

#[derive(Clone, Copy, Debug)]
struct Held {
    token: LeaseToken,
    until: Instant,
}

impl MemoryLeases {
    pub(super) fn take(&self, id: &ProjectionId, lease: Lease) -> LeaseOutcome {
        let (mut leases, now) = (self.locked(), Instant::now());
        if let Some(held) = leases.get(id)
            && held.token != lease.token()
            && held.until > now
        {
            return LeaseOutcome::HeldByAnother { remaining: held.until - now };
        }
        leases.insert(id.clone(), Held { token: lease.token(), until: now + lease.duration() });
        LeaseOutcome::Held
    }

    pub(super) fn release(&self, id: &ProjectionId, token: LeaseToken) {
        let mut leases = self.locked();
        if leases.get(id).is_some_and(|held| held.token == token) {
            leases.remove(id);
        }
    }

    /// Prolongs the lease of a step. Returns `false` if it is not the stored one. A step without
    /// a lease needs none.
    pub(super) fn prolong(&self, id: &ProjectionId, lease: Option<Lease>) -> bool {
        let Some(lease) = lease else { return true };
        let mut leases = self.locked();
        let held = leases.get_mut(id).filter(|held| held.token == lease.token());
        held.map(|held| held.until = Instant::now() + lease.duration()).is_some()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<ProjectionId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
