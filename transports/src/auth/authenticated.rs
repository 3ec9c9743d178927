use std::time::SystemTime;

use crate::feed::Rights;

/// A principal, and what its credentials limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Authenticated<P> {
    principal: P,
    ends: Option<SystemTime>,
    is_read_only: bool,
}

impl<P> Authenticated<P> {
    /// This principal, without limits.
    pub fn new(principal: P) -> Self {
        Self { principal, ends: None, is_read_only: false }
    }

    /// Ends the rights at this time. Never by default.
    pub fn with_expiry(mut self, end: SystemTime) -> Self {
        self.ends = Some(end);
        self
    }

    /// Removes the right to append.
    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    /// The principal.
    #[must_use]
    pub fn principal(&self) -> &P {
        &self.principal
    }

    pub(super) fn and_then<Q>(self, map: impl FnOnce(P) -> Option<Q>) -> Option<Authenticated<Q>> {
        let Self { principal, ends, is_read_only } = self;
        Some(Authenticated { principal: map(principal)?, ends, is_read_only })
    }

    /// These rights, as far as the credentials allow.
    pub(super) fn limit(&self, mut rights: Rights) -> Rights {
        if let Some(end) = self.ends {
            rights = rights.with_expiry_at_latest(end);
        }
        if self.is_read_only { rights.read_only() } else { rights }
    }
}
