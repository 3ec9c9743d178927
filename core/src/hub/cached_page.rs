use std::sync::OnceLock;

use super::bounds::{Bounds, cost, take_within};
use crate::budget::{ByteBudget, Reservation};
use crate::cursor::Cursor;
use crate::event::Event;
use crate::store::Page;

/// The memory that a page is assumed to take in addition to its events.
pub(super) const OVERHEAD: usize = 512;

/// A part of the log that was read from the store: every event in `(from, to]`
/// that matches a filter.
#[derive(Debug)]
pub(super) struct CachedPage {
    pub(super) from: Cursor,
    pub(super) events: Vec<Event>,
    pub(super) to: Cursor,
    /// The bytes of the budget that this page counts against, once for everybody
    /// who holds it.
    reserved: OnceLock<Reservation>,
}

impl CachedPage {
    pub(super) fn new(from: Cursor, page: Page) -> Self {
        Self { from, events: page.events, to: page.scanned, reserved: OnceLock::new() }
    }

    /// The memory that the page is assumed to take.
    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(cost).sum::<usize>() + OVERHEAD
    }

    /// Counts the page against this budget until its last holder drops it. Returns
    /// `false` if the budget has too few bytes left.
    pub(super) fn reserve(&self, budget: &ByteBudget) -> bool {
        if self.reserved.get().is_some() {
            return true;
        }
        let reservation = budget.try_reserve(self.bytes());
        // If somebody else has reserved the bytes meanwhile, these are given back.
        reservation.is_some_and(|reservation| self.reserved.set(reservation).is_ok())
            || self.reserved.get().is_some()
    }

    /// Whether the page can be used after `cursor`: it is the page's beginning,
    /// or the cursor of an event that is not the last.
    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        if cursor.position() >= self.to.position() {
            return false;
        }
        let before = self.count_up_to(cursor).checked_sub(1);
        cursor == before.map_or(self.from, |index| self.events[index].cursor())
    }

    /// The next events after `cursor`, within the bounds.
    pub(super) fn after(&self, cursor: Cursor, bounds: Bounds) -> Vec<Event> {
        take_within(self.events[self.count_up_to(cursor)..].iter(), bounds)
    }

    /// The part of the page at or below `tip`, a cursor of the same log; `None`
    /// if there is none.
    pub(super) fn up_to(&self, tip: Cursor) -> Option<Self> {
        let to = if self.to.position() <= tip.position() { self.to } else { tip };
        let events = self.events[..self.count_up_to(to)].to_vec();
        let reserved = OnceLock::new();
        (to.position() > self.from.position()).then_some(Self {
            from: self.from,
            events,
            to,
            reserved,
        })
    }

    fn count_up_to(&self, cursor: Cursor) -> usize {
        self.events.partition_point(|event| event.position() <= cursor.position())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::sample::event;

    fn page(from: Cursor, events: &[Event], to: Cursor) -> CachedPage {
        CachedPage { from, events: events.to_vec(), to, reserved: OnceLock::new() }
    }

    #[test]
    fn counts_once_against_a_budget_until_it_is_dropped() {
        let log: Vec<_> = (1..=4).map(event).collect();
        let first = page(log[0].cursor(), &log[1..], log[3].cursor());
        let budget = ByteBudget::new(first.bytes() + 1);
        assert!(first.reserve(&budget) && first.reserve(&budget));
        assert_eq!(budget.used(), first.bytes());
        let second = page(log[0].cursor(), &log[1..], log[3].cursor());
        assert!(!second.reserve(&budget));
        drop(first);
        assert!(second.reserve(&budget));
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn holds_only_its_beginning_and_its_events() {
        let (log, other) = ((1..=6).map(|n| event(n * 10)).collect::<Vec<_>>(), event(30));
        let (from, to) = (log[0].cursor(), log[5].cursor());
        let page = page(from, &log[1..4], to);
        assert!(page.holds(from) && page.holds(log[3].cursor()));
        let bounds = Bounds { events: 9, bytes: usize::MAX };
        assert_eq!(page.after(log[2].cursor(), bounds), [log[3].clone()]);
        assert_eq!(page.after(log[3].cursor(), bounds), []);
        // Cursors between events cannot be verified, and after the end there is nothing to read.
        for unknown in [other.cursor(), log[4].cursor(), to, event(5).cursor()] {
            assert!(!page.holds(unknown), "{unknown}");
        }
    }

    #[test]
    fn ends_at_the_tip() {
        let log: Vec<_> = (1..=4).map(event).collect();
        let page = page(log[0].cursor(), &log[1..], log[3].cursor());
        let part = page.up_to(log[2].cursor()).unwrap();
        assert_eq!((part.events, part.to), (log[1..3].to_vec(), log[2].cursor()));
        assert_eq!(page.up_to(event(9).cursor()).unwrap().to, log[3].cursor());
        assert!(page.up_to(log[0].cursor()).is_none());
    }
}
