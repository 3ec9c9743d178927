use std::fmt;
use std::time::Duration;

use uuid::Uuid;

/// Lets one of many workers of a projection work: who it is, and for how long it may be
/// silent.
///
/// A [`ProjectionStore`](super::ProjectionStore) keeps at most one lease for each version of a
/// projection: the token of its worker, and the time at which others may take it. The clock is
/// the store's, so that those of the workers need not agree. It only decides when another may
/// take over; which steps are made is decided by the token and the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    token: LeaseToken,
    duration: Duration,
}

impl Lease {
    /// The shortest duration.
    pub const SHORTEST: Duration = Duration::from_millis(100);

    /// The longest duration.
    pub const LONGEST: Duration = Duration::from_secs(3_600);

    /// Creates a lease for the worker with this token. A duration below
    /// [`SHORTEST`](Self::SHORTEST) or above [`LONGEST`](Self::LONGEST) is replaced by that.
    #[must_use]
    pub fn new(token: LeaseToken, duration: Duration) -> Self {
        Self { token, duration: duration.clamp(Self::SHORTEST, Self::LONGEST) }
    }

    /// The worker that has the lease.
    #[must_use]
    pub fn token(&self) -> LeaseToken {
        self.token
    }

    /// How long it lasts if it is not prolonged.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// The identity of a worker that has a lease or asks for one: a UUID that is made anew for each
/// running projection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(Uuid);

impl LeaseToken {
    /// Creates a new token.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The token with these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the token.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<LeaseToken> for Uuid {
    fn from(token: LeaseToken) -> Self {
        token.0
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_hyphenated(), f)
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The answer to a worker that has asked for a lease.
///
/// Exhaustive, since callers have to handle every variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The worker has the lease, for its duration from now.
    Held,
    /// Another worker has it.
    HeldByAnother {
        /// When the other may be replaced, unless it prolongs its lease before: after this time.
        remaining: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_keep_their_bytes() {
        let (one, two) = (LeaseToken::generate(), LeaseToken::generate());
        assert_ne!(one, two);
        assert_eq!(LeaseToken::from_bytes(*one.as_bytes()), one);
        assert_eq!(one.to_string(), Uuid::from(one).to_string());
    }

    #[test]
    fn a_lease_is_neither_too_short_to_prolong_nor_endless() {
        let lasts = |duration| Lease::new(LeaseToken::generate(), duration).duration();
        assert_eq!(lasts(Duration::ZERO), Lease::SHORTEST);
        assert_eq!(lasts(Duration::MAX), Lease::LONGEST);
        assert_eq!(lasts(Duration::from_secs(10)), Duration::from_secs(10));
    }
}
