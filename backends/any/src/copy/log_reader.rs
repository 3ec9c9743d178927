use std::collections::VecDeque;

use downlink::store::Mark;
use downlink::{ErrorKind, Event, EventStore, Position, Read, Result, limits};

/// Events of one page. Large pages cost memory, of which a copy needs two, and are not faster.
const PAGE_BYTES: usize = 4 << 20;

/// Reads a log up to a position, page by page.
#[derive(Debug)]
pub(super) struct LogReader<'s> {
    store: &'s dyn EventStore,
    after: Mark,
    end: Position,
    /// The events that were read and not yet taken.
    pub(super) events: VecDeque<Event>,
}

impl<'s> LogReader<'s> {
    pub(super) fn new(store: &'s dyn EventStore, after: impl Into<Mark>, end: Position) -> Self {
        Self { store, after: after.into(), end, events: VecDeque::new() }
    }

    /// Reads the next page, unless events are left or the end is reached.
    pub(super) async fn fill(&mut self) -> Result<()> {
        while self.events.is_empty() && self.after.position() < self.end {
            let page = self.store.read_log(page().with_after(self.after)).await?;
            let end = self.end;
            self.events = page.events.into_iter().filter(|event| event.position() <= end).collect();
            if !page.more && self.events.is_empty() {
                // The log ends before the end.
                self.end = self.after.position();
            }
            self.after = page.scanned.into();
        }
        Ok(())
    }
}

fn page() -> downlink::store::ReadLog {
    Read::log().with_limit(limits::MAX_PAGE_EVENTS).with_max_bytes(PAGE_BYTES)
}

/// The event at this position.
pub(super) async fn event_at(store: &dyn EventStore, position: Position) -> Result<Option<Event>> {
    let Some(before) = position.get().checked_sub(1).and_then(Position::new) else {
        return Ok(None);
    };
    match store.read_log(Read::log().with_after(before).with_limit(1)).await {
        Ok(page) => Ok(page.events.into_iter().next().filter(|event| event.position() == position)),
        Err(error) if error.kind() == ErrorKind::CursorAhead => Ok(None),
        Err(error) => Err(error),
    }
}
