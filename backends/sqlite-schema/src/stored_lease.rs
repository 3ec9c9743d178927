use std::time::Duration;

use downlink::event::Timestamp;
use downlink::projection::{Lease, LeaseOutcome, LeaseToken};
use downlink::{Error, ErrorKind, Result};

use crate::number::{from_sql, to_sql};

/// The lease of a projection as the file has it, by the clock of the machine that its processes
/// share.
#[derive(Clone, Copy, Debug)]
pub struct StoredLease {
    token: LeaseToken,
    until: Timestamp,
}

impl StoredLease {
    /// The lease of the columns of [`LEASE`](crate::sql::LEASE).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if a value is invalid.
    pub fn from_columns(token: &[u8], until: i64) -> Result<Self> {
        let token = token.try_into().map_err(|error| {
            let message = format!(
                "the file has {} bytes in the place of the 16 of a lease: delete the row of \
                 downlink_leases",
                token.len()
            );
            Error::with_source(ErrorKind::Corrupt, message, error)
        })?;
        let until = Timestamp::from_micros(from_sql(until)?);
        Ok(Self { token: LeaseToken::from_bytes(token), until })
    }

    /// The answer to a worker that asks for `lease` now, where this one is stored.
    ///
    /// A lease that would last for longer than the one that is asked for has expired: the clock
    /// was set back.
    #[must_use]
    pub fn answer(stored: Option<Self>, lease: Lease, now: Timestamp) -> LeaseOutcome {
        let other = stored.filter(|stored| stored.token != lease.token());
        let left = other.and_then(|other| other.until.as_micros().checked_sub(now.as_micros()));
        match left.map(Duration::from_micros) {
            Some(remaining) if !remaining.is_zero() && remaining <= lease.duration() => {
                LeaseOutcome::HeldByAnother { remaining }
            }
            _ => LeaseOutcome::Held,
        }
    }

    /// The time until which `lease` lasts if it is taken now, as the file has it.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) after the year 290,000.
    pub fn until(lease: Lease, now: Timestamp) -> Result<i64> {
        let lasts = u64::try_from(lease.duration().as_micros()).unwrap_or(u64::MAX);
        to_sql(now.as_micros().saturating_add(lasts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn lease(token: u8) -> Lease {
        Lease::new(LeaseToken::from_bytes([token; 16]), Duration::from_secs(10))
    }

    #[test]
    fn a_lease_is_kept_until_it_expires_or_the_clock_is_set_back() {
        let taken = Timestamp::from_micros(1_000 * SECOND);
        let until = StoredLease::until(lease(1), taken).unwrap();
        let stored = StoredLease::from_columns(&[1; 16], until).unwrap();
        let answer = |token, second: u64| {
            let now = Timestamp::from_micros(second * SECOND);
            StoredLease::answer(Some(stored), lease(token), now)
        };
        let left = |seconds| {
            let remaining = Duration::from_secs(seconds);
            LeaseOutcome::HeldByAnother { remaining }
        };
        assert_eq!((answer(2, 1_000), answer(2, 1_009)), (left(10), left(1)));
        assert_eq!((answer(2, 1_010), answer(2, 5_000)), (LeaseOutcome::Held, LeaseOutcome::Held));
        assert_eq!((answer(1, 1_001), answer(2, 900)), (LeaseOutcome::Held, LeaseOutcome::Held));
        assert_eq!(StoredLease::answer(None, lease(2), taken), LeaseOutcome::Held);
    }

    #[test]
    fn an_invalid_lease_is_corrupt() {
        for (token, until) in [(&[1; 15][..], 1), (&[1; 16], -1)] {
            let read = StoredLease::from_columns(token, until);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
