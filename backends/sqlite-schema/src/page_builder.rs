use downlink::{Cursor, Event, Filter, Position, Read, Version};

/// How many events one page looks at. A page of a filter that seldom matches ends
/// there, so that no snapshot is kept open for long.
pub const SCAN_BUDGET: usize = 10_000;

/// Collects the events of one page within its limits.
#[derive(Debug)]
pub struct PageBuilder<'a> {
    max_events: usize,
    max_bytes: usize,
    filter: &'a Filter,
    bytes: usize,
    looked_at: usize,
    /// The events that match, so far.
    pub events: Vec<Event>,
    /// The last event that was looked at.
    pub last: Option<(Cursor, Version)>,
    /// The limit that was reached, if any.
    pub limit: Option<PageLimit>,
}

/// The limit at which a page ended before its events did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageLimit {
    /// It has as many events as were asked for.
    Events,
    /// The event at this position does not fit.
    Bytes(Position),
    /// It has looked at [`SCAN_BUDGET`] events.
    Scan,
}

impl<'a> PageBuilder<'a> {
    /// An empty page.
    #[must_use]
    pub fn new<S>(read: &'a Read<S>) -> Self {
        Self {
            max_events: read.limit(),
            max_bytes: read.max_bytes(),
            filter: read.filter(),
            bytes: 0,
            looked_at: 0,
            events: Vec::new(),
            last: None,
            limit: (read.limit() == 0).then_some(PageLimit::Events),
        }
    }

    /// How many events the page has at most.
    #[must_use]
    pub fn max_events(&self) -> u64 {
        u64::try_from(self.max_events).unwrap_or(u64::MAX)
    }

    /// Whether a limit was reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some()
    }

    /// Looks at the next event and adds it if it matches. Returns whether the page
    /// has room for more.
    pub fn offer(&mut self, event: Event) -> bool {
        let last = (event.cursor(), event.version());
        if self.filter.matches_event(&event) {
            self.bytes += event.size();
            if self.bytes > self.max_bytes && !self.events.is_empty() {
                self.limit = Some(PageLimit::Bytes(event.position()));
                return false;
            }
            self.events.push(event);
        }
        self.last = Some(last);
        self.looked_at += 1;
        if self.events.len() >= self.max_events {
            self.limit = Some(PageLimit::Events);
        } else if self.looked_at >= SCAN_BUDGET {
            self.limit = Some(PageLimit::Scan);
        }
        self.limit.is_none()
    }
}
