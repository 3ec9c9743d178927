//! Two ways to read a log whose positions are assigned before the commit. Both
//! look correct and are not.

use std::collections::{BTreeSet, HashMap};

use downlink::{Event, EventId, Position};

/// Numbered transactions, as with PostgreSQL's `xmin`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late {
    begun: u64,
    running: BTreeSet<u64>,
    written_by: HashMap<EventId, u64>,
}

impl Late {
    pub(crate) fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.running.insert(self.begun);
        self.begun
    }

    pub(crate) fn end(&mut self, number: u64, events: &[Event]) {
        self.running.remove(&number);
        self.written_by.extend(events.iter().map(|event| (event.id(), number)));
    }

    /// The events of transactions that began before all running ones. This is wrong:
    /// a transaction with a higher number and lower positions may still be running.
    pub(crate) fn older_than_running(&self, events: &[Event]) -> Vec<Event> {
        let oldest = self.running.first().copied().unwrap_or(u64::MAX);
        events.iter().filter(|event| self.written_by[&event.id()] < oldest).cloned().collect()
    }
}

/// The gap at which a reader waits.
#[derive(Debug, Default)]
pub(crate) struct Hole {
    after: Position,
    looks: usize,
}

impl Hole {
    /// Returns the events before the first gap, or all events once the gap has
    /// existed for a while.
    pub(crate) fn up_to<'a>(&mut self, events: &'a [Event]) -> &'a [Event] {
        let mut wanted = Position::ZERO;
        let without_hole = events
            .iter()
            .take_while(|event| {
                wanted = wanted.next();
                event.position() == wanted
            })
            .count();
        let after = events[..without_hole].last().map_or(Position::ZERO, Event::position);
        self.looks = if after == self.after { self.looks + 1 } else { 0 };
        self.after = after;
        if self.looks > 12 { events } else { &events[..without_hole] }
    }
}
