use super::bounds::{MAX_COST, cost_of};
use super::cached_page::OVERHEAD;
use super::shared::Tuning;
use crate::budget::{ByteBudget, Reservation};

/// The bytes of a budget that a page may take which is read ahead. Empty if there is no
/// budget, or if a subscription waits for the page, which it reserves when it takes it.
#[derive(Debug, Default)]
pub(super) struct PageRoom {
    _reserved: Option<Reservation>,
}

impl PageRoom {
    /// Reserves what the largest page takes; `None` if that is more than is left of half
    /// of the budget. The other half is for what cannot be done without.
    pub(super) fn reserve(budget: Option<&ByteBudget>, tuning: &Tuning) -> Option<Self> {
        let Some(budget) = budget else { return Some(Self::default()) };
        // A page has at least one event, however large it is.
        let Tuning { page_events, page_bytes, .. } = *tuning;
        let by_bytes = MAX_COST.max(cost_of(page_events, page_bytes));
        let bytes = by_bytes.min(page_events.saturating_mul(MAX_COST)).saturating_add(OVERHEAD);
        let has_room = budget.used().saturating_add(bytes) <= budget.limit() / 2;
        has_room
            .then(|| budget.try_reserve(bytes))
            .flatten()
            .map(|reserved| Self { _reserved: Some(reserved) })
    }
}
