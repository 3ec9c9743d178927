use downlink::{Cursor, Event, Position, Read, Version};

/// How many events one page looks at. A rare filter comes back with what it
/// has, so that no snapshot is kept for long.
pub const SCAN_BUDGET: usize = 10_000;

/// The events of a page that is being read, and its bounds.
#[derive(Debug)]
pub struct Taking<'a> {
    read: &'a Read,
    bytes: usize,
    looked_at: usize,
    /// Those that are wanted, so far.
    pub events: Vec<Event>,
    /// The last event that was looked at.
    pub last: Option<(Cursor, Version)>,
    /// Why no more can be taken.
    pub full: Option<Full>,
}

/// Why a page ended before its events did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It has as many events as wanted.
    Events,
    /// The event at this position does not fit.
    Bytes(Position),
    /// It has looked at as many as it may.
    Budget,
}

impl<'a> Taking<'a> {
    /// Nothing taken yet.
    #[must_use]
    pub fn new(read: &'a Read) -> Self {
        Self {
            read,
            bytes: 0,
            looked_at: 0,
            events: Vec::new(),
            last: None,
            full: (read.max_events() == 0).then_some(Full::Events),
        }
    }

    /// How many events are wanted at most.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        u64::try_from(self.read.max_events()).unwrap_or(u64::MAX)
    }

    /// Whether no more can be taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// Looks at the next event, and takes it if it is wanted. Tells whether to
    /// go on.
    pub fn offer(&mut self, event: Event) -> bool {
        let place = (event.cursor(), event.version());
        if self.read.wanted().matches_event(&event) {
            self.bytes += event.size();
            if self.bytes > self.read.byte_budget() && !self.events.is_empty() {
                self.full = Some(Full::Bytes(event.position()));
                return false;
            }
            self.events.push(event);
        }
        self.last = Some(place);
        self.looked_at += 1;
        if self.events.len() >= self.read.max_events() {
            self.full = Some(Full::Events);
        } else if self.looked_at >= SCAN_BUDGET {
            self.full = Some(Full::Budget);
        }
        self.full.is_none()
    }
}
