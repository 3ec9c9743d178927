//! Memory that is held for others, such as the peers of a server, counted against
//! one limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A number of bytes that everything which is held for others shares.
///
/// Code that is about to hold bytes [reserves](Self::try_reserve) them, and gives
/// them back by dropping the [`Reservation`]. Clones share the bytes.
///
/// # Examples
///
/// ```
/// use downlink::budget::ByteBudget;
///
/// let budget = ByteBudget::new(100);
/// let body = budget.try_reserve(70).expect("70 of 100");
/// assert!(budget.try_reserve(70).is_none());
/// drop(body);
/// assert!(budget.try_reserve(70).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct ByteBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
    /// Notified at every refusal, so that its order does not matter.
    refused: Notify,
}

impl ByteBudget {
    /// A budget of this many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let (used, refused) = (AtomicUsize::new(0), Notify::new());
        Self { shared: Arc::new(Shared { limit, used, refused }) }
    }

    /// The number of bytes of the whole budget.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shared.limit
    }

    /// How many bytes are reserved now. More than the [limit](Self::limit) if some
    /// were [needed](Reservation::grow) beyond it.
    #[must_use]
    pub fn used(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// Reserves this many bytes; `None` if fewer are left.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let mut reservation = self.empty();
        reservation.try_grow(bytes).then_some(reservation)
    }

    /// A reservation of no bytes, which can [grow](Reservation::try_grow).
    pub fn empty(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    /// Waits until a reservation is refused. A refusal while nothing waits is
    /// reported to the next call.
    ///
    /// # Cancel safety
    ///
    /// No refusal is lost.
    pub async fn refused(&self) {
        self.shared.refused.notified().await;
    }
}

/// Two are equal if they share the bytes.
impl PartialEq for ByteBudget {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for ByteBudget {}

/// Bytes of a [`ByteBudget`], given back when this is dropped.
#[derive(Debug)]
#[must_use = "dropping a reservation gives its bytes back"]
pub struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

impl Reservation {
    /// How many bytes are reserved.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reserves this many bytes more. Returns `false`, and reserves nothing, if
    /// fewer are left.
    #[must_use]
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let Shared { limit, used, refused } = &*self.budget.shared;
        let grown = |used: usize| used.checked_add(bytes).filter(|used| used <= limit);
        let is_granted = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok();
        if is_granted {
            self.bytes += bytes;
        } else {
            refused.notify_one();
        }
        is_granted
    }

    /// Reserves this many bytes more, if need be beyond the limit of the budget, for
    /// what cannot be refused. Counts as a refusal if it is beyond the limit.
    pub fn grow(&mut self, bytes: usize) {
        if !self.try_grow(bytes) {
            self.budget.shared.used.fetch_add(bytes, Ordering::Relaxed);
            self.bytes += bytes;
        }
    }

    /// Gives this many bytes back, or all if there are fewer.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.shared.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn bytes_are_reserved_up_to_the_limit_and_given_back() {
        let budget = ByteBudget::new(100);
        let mut first = budget.try_reserve(60).unwrap();
        assert!(budget.try_reserve(41).is_none());
        assert!(!first.try_grow(usize::MAX), "no overflow");
        assert!(first.try_grow(40));
        assert_eq!((first.bytes(), budget.used()), (100, 100));
        first.shrink(30);
        let second = budget.try_reserve(30).unwrap();
        first.shrink(usize::MAX);
        assert_eq!((first.bytes(), budget.used()), (0, 30));
        drop((first, second));
        assert_eq!((budget.used(), budget.limit()), (0, 100));
    }

    #[test]
    fn what_cannot_be_refused_may_exceed_the_limit() {
        let budget = ByteBudget::new(100);
        let mut needed = budget.empty();
        needed.grow(150);
        assert_eq!((needed.bytes(), budget.used()), (150, 150));
        assert!(budget.try_reserve(1).is_none());
        drop(needed);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_refusal_is_reported_even_if_nothing_waits_yet() {
        let budget = ByteBudget::new(1);
        assert!(budget.refused().now_or_never().is_none());
        assert!(budget.try_reserve(2).is_none());
        budget.refused().await;
        assert!(budget.refused().now_or_never().is_none());
        budget.empty().grow(2);
        budget.refused().await;
    }
}
