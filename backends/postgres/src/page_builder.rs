use downlink::{Cursor, Event, Read, Version};

/// How many events one page of a filter looks at. A page of a filter that seldom matches ends
/// there.
const SCANNED: usize = 2_000;

/// The bytes of events that one page of a filter looks at.
const SCANNED_BYTES: usize = 4 << 20;

/// Collects the events of one page within its limits.
#[derive(Debug)]
pub(crate) struct PageBuilder<'a> {
    read: &'a Read,
    bytes: usize,
    is_full: bool,
    /// The events that match, so far.
    pub(crate) events: Vec<Event>,
    /// The last event that was looked at.
    pub(crate) last: Option<(Cursor, Version)>,
}

impl<'a> PageBuilder<'a> {
    pub(crate) fn new(read: &'a Read) -> Self {
        let is_full = read.max_events() == 0;
        Self { read, bytes: 0, is_full, events: Vec::new(), last: None }
    }

    /// How many rows to request from the server at most.
    pub(crate) fn rows(read: &Read) -> usize {
        let limit = read.max_events();
        if limit == 0 || read.wanted().is_everything() { limit } else { SCANNED }
    }

    /// How many bytes of rows to request at most.
    pub(crate) fn row_bytes(read: &Read) -> usize {
        let budget = read.byte_budget().max(1);
        if read.wanted().is_everything() { budget } else { budget.max(SCANNED_BYTES) }
    }

    /// Looks at the next event, and adds it if it matches and fits.
    pub(crate) fn offer(&mut self, event: Event) {
        if self.is_full {
            return;
        }
        let last = (event.cursor(), event.version());
        if self.read.wanted().matches_event(&event) {
            self.bytes = self.bytes.saturating_add(event.size());
            if self.bytes > self.read.byte_budget() && !self.events.is_empty() {
                self.is_full = true;
                return;
            }
            self.events.push(event);
        }
        self.last = Some(last);
        self.is_full = self.events.len() >= self.read.max_events();
    }
}
