use downlink::store::ReadStream;
use downlink::{Cursor, Event, Filter, Read, Version};

/// How many events one page of a stream with a filter looks at. If few of them match, the
/// page has few events.
const SCANNED: usize = 2_000;

/// How many bytes of events one page of a stream with a filter looks at.
const SCANNED_BYTES: usize = 4 << 20;

/// The events of a page that is being read, and its bounds.
#[derive(Debug)]
pub(crate) struct PageBuilder<'a> {
    max_events: usize,
    max_bytes: usize,
    filter: &'a Filter,
    bytes: usize,
    is_full: bool,
    /// The events found so far that match the filter.
    pub(crate) events: Vec<Event>,
    /// The last event that was looked at.
    pub(crate) last: Option<(Cursor, Version)>,
}

impl<'a> PageBuilder<'a> {
    pub(crate) fn new<S>(read: &'a Read<S>) -> Self {
        let (max_events, max_bytes) = (read.limit(), read.max_bytes());
        Self {
            max_events,
            max_bytes,
            filter: read.filter(),
            bytes: 0,
            is_full: max_events == 0,
            events: Vec::new(),
            last: None,
        }
    }

    /// The most rows of a stream to request from the server.
    pub(crate) fn rows(read: &ReadStream) -> usize {
        let limit = read.limit();
        if limit == 0 || read.filter().is_everything() { limit } else { SCANNED }
    }

    /// The most bytes of a stream to request from the server.
    pub(crate) fn row_bytes(read: &ReadStream) -> usize {
        let budget = read.max_bytes().max(1);
        if read.filter().is_everything() { budget } else { budget.max(SCANNED_BYTES) }
    }

    /// Looks at the next event, and takes it if it matches the filter and fits.
    pub(crate) fn offer(&mut self, event: Event) {
        if self.is_full {
            return;
        }
        let last = (event.cursor(), event.version());
        if self.filter.matches_event(&event) {
            self.bytes = self.bytes.saturating_add(event.size());
            if self.bytes > self.max_bytes && !self.events.is_empty() {
                self.is_full = true;
                return;
            }
            self.events.push(event);
        }
        self.last = Some(last);
        self.is_full = self.events.len() >= self.max_events || self.bytes >= self.max_bytes;
    }

    /// Whether it has no room for another event.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }
}
