use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::Item;
use super::bounds::Bounds;
use super::cached_page::CachedPage;
use super::shared::Tuning;
use crate::budget::{ByteBudget, Reservation};
use crate::cursor::Cursor;
use crate::event::Event;
use crate::filter::Filter;

/// The events that are examined together, and that a subscription holds while
/// its reader is idle.
pub(super) const BATCH: Bounds = Bounds { events: 64, bytes: 48 << 10 };

/// An idle subscription keeps room for at most so many items.
const FEW: usize = 8;

/// Examines the events of a log in order, and makes items of them.
#[derive(Debug)]
pub(super) struct Examiner {
    /// How far the log was examined, apart from what the registration of the
    /// subscription knows.
    pub(super) scanned: Cursor,
    /// The cursor of the last item that was taken.
    pub(super) delivered: Cursor,
    /// The items that wait to be taken.
    pub(super) waiting: VecDeque<Item>,
    pub(super) phase: Phase,
    /// The page from the store that is being examined.
    page: Option<HeldPage>,
    since_last_item: SinceLastItem,
}

/// A page, and the bytes of a budget for it.
type HeldPage = (Arc<CachedPage>, Option<Arc<Reservation>>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// The head up to which to catch up is not known yet.
    Beginning,
    CatchingUp {
        head: Cursor,
    },
    /// The head was reached, but later events are still read from the store:
    /// such a subscription cannot fall behind.
    Passed,
    Live,
}

/// The events that were examined since the last item, until the subscription is live.
#[derive(Clone, Copy, Debug, Default)]
struct SinceLastItem {
    events: usize,
    since: Option<Instant>,
}

impl Examiner {
    pub(super) fn new(cursor: Cursor) -> Self {
        Self {
            scanned: cursor,
            delivered: cursor,
            waiting: VecDeque::new(),
            phase: Phase::Beginning,
            page: None,
            since_last_item: SinceLastItem::default(),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.waiting.pop_front()?;
        self.delivered = item.cursor();
        Some(item)
    }

    pub(super) fn push(&mut self, item: Item) {
        self.waiting.push_back(item);
        self.since_last_item = SinceLastItem::default();
    }

    /// Frees memory that was needed for a burst.
    pub(super) fn shrink(&mut self) {
        if self.waiting.capacity() > FEW {
            self.waiting.shrink_to(0);
        }
    }

    /// Begins to catch up with this head, which may be reached already.
    pub(super) fn catch_up_to(&mut self, head: Cursor) {
        self.phase = Phase::CatchingUp { head };
        self.push_live_if_reached();
    }

    pub(super) fn fall_behind(&mut self, head: Cursor) {
        self.phase = Phase::CatchingUp { head };
        self.push(Item::Behind { cursor: self.scanned, head });
    }

    /// The ring has everything after what was examined.
    pub(super) fn is_in_ring(&mut self) {
        if let Phase::Passed = self.phase {
            self.phase = Phase::Live;
            self.since_last_item = SinceLastItem::default();
        }
    }

    /// Keeps a page to examine it, or if the budget has too few bytes left for it,
    /// examines a few events and leaves the rest to another read. Returns whether it
    /// was kept.
    pub(super) fn take_page(
        &mut self,
        page: Arc<CachedPage>,
        budget: Option<&ByteBudget>,
        filter: &Filter,
        tuning: &Tuning,
    ) -> bool {
        let reserved = budget.map(|budget| page.reserve(budget));
        let next = page.after(self.scanned, BATCH);
        match reserved {
            // Nothing but its end is left of it.
            Some(None) if next.is_empty() => self.page = Some((page, None)),
            Some(None) => self.examine_all(next, filter, tuning),
            reserved => self.page = Some((page, reserved.flatten())),
        }
        self.page.is_some()
    }

    /// Examines the next events of the page from the store. Returns `false` if
    /// there is no page.
    pub(super) fn examine_page(&mut self, filter: &Filter, tuning: &Tuning) -> bool {
        let Some((page, _)) = &self.page else { return false };
        let (events, end) = (page.after(self.scanned, BATCH), page.to);
        let is_nothing_left = events.is_empty();
        self.examine_all(events, filter, tuning);
        if is_nothing_left || self.scanned == end {
            self.finish_page();
        }
        true
    }

    fn finish_page(&mut self) {
        let Some((page, _)) = self.page.take() else { return };
        self.scanned = page.to;
        if page.events.is_empty() {
            self.push(Item::Checkpoint(page.to));
        }
        self.push_live_if_reached();
    }

    pub(super) fn examine_all(&mut self, events: Vec<Event>, filter: &Filter, tuning: &Tuning) {
        for event in events {
            self.examine(event, filter);
        }
        self.push_checkpoint_if_due(tuning);
    }

    fn examine(&mut self, event: Event, filter: &Filter) {
        self.scanned = event.cursor();
        if filter.matches_event(&event) {
            self.push(Item::Event(event));
        } else if !matches!(self.phase, Phase::Live) {
            self.since_last_item.events += 1;
            self.since_last_item.since.get_or_insert_with(Instant::now);
        }
        self.push_live_if_reached();
    }

    /// Yields `Live` as soon as everything up to the head was examined, even if
    /// events are appended all the time.
    fn push_live_if_reached(&mut self) {
        let Phase::CatchingUp { head } = self.phase else { return };
        if self.scanned.position() >= head.position() {
            self.phase = Phase::Passed;
            self.push(Item::Live { cursor: self.scanned, head });
        }
    }

    fn push_checkpoint_if_due(&mut self, tuning: &Tuning) {
        let SinceLastItem { events, since } = self.since_last_item;
        let is_long_ago = since.is_some_and(|since| since.elapsed() >= tuning.checkpoint_interval);
        if events >= tuning.checkpoint_events || is_long_ago {
            self.push(Item::Checkpoint(self.scanned));
        }
    }
}
