use std::collections::VecDeque;

use super::bounds::{Bounds, cost, take_within};
use crate::commit::Commit;
use crate::cursor::Cursor;
use crate::event::Event;
use crate::id::Position;

/// How many events a search compares one by one before it halves.
const RECENT: usize = 8;

/// The newest events of a log, bounded in count and bytes: every event in
/// `(floor, tip]`.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
    floor: Cursor,
    max_events: usize,
    max_bytes: usize,
}

/// The answer of the ring to a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// The next events, oldest first; none at or above the tip.
    Inside(Vec<Event>),
    /// The next events are no longer in the ring, or the cursor belongs to
    /// another history: the store has to be read.
    Outside,
}

impl Ring {
    pub(super) fn new(floor: Cursor, max_events: usize, max_bytes: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, floor, max_events, max_bytes }
    }

    /// Removes all events and starts again after `floor`.
    pub(super) fn reset(&mut self, floor: Cursor) {
        self.events.clear();
        self.bytes = 0;
        self.floor = floor;
    }

    pub(super) fn tip(&self) -> Cursor {
        self.events.back().map_or(self.floor, Event::cursor)
    }

    /// Adds the next event of the log.
    pub(super) fn push(&mut self, event: Event) {
        debug_assert!(event.position() > self.tip().position(), "the tail reads in order");
        self.bytes += cost(&event);
        self.events.push_back(event);
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= cost(&oldest);
            self.floor = oldest.cursor();
        }
    }

    /// Adds a commit if it follows the tip, by position and check. Events that
    /// are in the ring already, because they were read meanwhile, are skipped.
    /// Returns `false` if the log has to be read instead.
    pub(super) fn add_commit(&mut self, commit: &Commit) -> bool {
        let tip = self.tip();
        let known = if commit.from == tip {
            0
        } else if let Some(at) = commit.events.iter().position(|event| event.cursor() == tip) {
            at + 1
        } else {
            // Either all of it is in the ring, or the log has to be read.
            return commit.events.last().is_some_and(|last| self.holds(last.cursor()));
        };
        for event in &commit.events[known..] {
            self.push(event.clone());
        }
        true
    }

    /// The next events after `cursor`, within the bounds.
    pub(super) fn after(&self, cursor: Cursor, bounds: Bounds) -> Window {
        if cursor.position() > self.tip().position() {
            return Window::Inside(Vec::new());
        }
        match self.place_after(cursor) {
            Some(next) => Window::Inside(take_within(self.events.range(next..), bounds)),
            None => Window::Outside,
        }
    }

    /// All events after `cursor`; `None` if they are not all in the ring.
    pub(super) fn events_after(
        &self,
        cursor: Cursor,
    ) -> Option<impl Iterator<Item = &Event> + Clone> {
        self.place_after(cursor).map(|next| self.events.range(next..))
    }

    /// Whether this is the cursor of an event in the ring, or the floor.
    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        self.place_after(cursor).is_some()
    }

    fn place_after(&self, cursor: Cursor) -> Option<usize> {
        let next = self.count_up_to(cursor.position());
        let at_cursor = next.checked_sub(1).map_or(self.floor, |index| self.events[index].cursor());
        (at_cursor == cursor).then_some(next)
    }

    /// How many events are at or below this position. Looks near the end first, where
    /// most subscriptions are.
    fn count_up_to(&self, position: Position) -> usize {
        let is_below = |event: &Event| event.position() <= position;
        let recent = self.events.iter().rev().take(RECENT).take_while(|event| !is_below(event));
        match recent.count() {
            RECENT => self.events.partition_point(is_below),
            above => self.events.len() - above,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::sample::event;

    fn up_to(events: usize) -> Bounds {
        Bounds { events, bytes: usize::MAX }
    }

    #[test]
    fn holds_exactly_the_events_above_its_floor() {
        // Positions with gaps: 10, 20, ... 100.
        let log: Vec<_> = (1..=10).map(|n| event(n * 10)).collect();
        let mut ring = Ring::new(Cursor::START, 3, usize::MAX);
        for event in &log {
            ring.push(event.clone());
        }
        assert_eq!(ring.tip(), log[9].cursor());
        assert_eq!(ring.after(log[6].cursor(), up_to(2)), Window::Inside(log[7..9].to_vec()));
        assert_eq!(ring.after(log[8].cursor(), up_to(9)), Window::Inside(log[9..].to_vec()));
        assert_eq!(ring.after(log[9].cursor(), up_to(9)), Window::Inside(vec![]));
        assert_eq!(ring.after(log[5].cursor(), up_to(9)), Window::Outside);
        assert_eq!(ring.after(Cursor::START, up_to(9)), Window::Outside);
    }

    #[test]
    fn a_cursor_of_another_history_is_outside() {
        let mut ring = Ring::new(Cursor::START, 3, usize::MAX);
        ring.push(event(1));
        ring.push(event(2));
        assert_eq!(ring.after(event(1).cursor(), up_to(9)), Window::Outside);
        assert!(!ring.holds(event(1).cursor()) && !ring.holds(event(3).cursor()));
        assert!(ring.holds(ring.tip()) && ring.holds(Cursor::START));
    }

    #[test]
    fn only_commits_that_follow_the_tip_are_added() {
        let log: Vec<_> = (1..=6).map(event).collect();
        let other = event(3);
        let commit = |from: Cursor, events: &[Event]| Commit { from, events: events.into() };
        let mut ring = Ring::new(Cursor::START, 16, usize::MAX);
        assert!(ring.add_commit(&commit(Cursor::START, &log[..3])));
        // Of another history, after a gap, and overlapping without the event at the tip.
        assert!(!ring.add_commit(&commit(other.cursor(), &log[3..4])));
        assert!(!ring.add_commit(&commit(log[3].cursor(), &log[4..5])));
        assert!(!ring.add_commit(&commit(log[1].cursor(), &[other, log[3].clone()])));
        assert_eq!(ring.tip(), log[2].cursor());
        // Read before it was reported: all of it, and a part.
        assert!(ring.add_commit(&commit(log[0].cursor(), &log[1..3])));
        assert!(ring.add_commit(&commit(log[1].cursor(), &log[2..5])));
        assert_eq!(ring.after(log[2].cursor(), up_to(9)), Window::Inside(log[3..5].to_vec()));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut ring = Ring::new(Cursor::START, usize::MAX, 2 * cost(&event(1)) + 1);
        for n in 1..=10 {
            ring.push(event(n));
        }
        assert_eq!(ring.events.len(), 2);
        let mut none = Ring::new(Cursor::START, usize::MAX, 0);
        let only = event(1);
        none.push(only.clone());
        assert_eq!(none.tip(), only.cursor());
        assert_eq!(none.after(only.cursor(), up_to(9)), Window::Inside(vec![]));
    }
}
