use crate::budget::ByteBudget;
use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::id::Position;

/// Where a subscription begins. The given place is exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// Before the first event.
    #[default]
    Start,
    /// At the end of the log at the time of subscribing.
    Now,
    /// Before this many of the last **matching** events; at most 1,000.
    Last(usize),
    /// After this position, which is trusted.
    Position(Position),
    /// After this cursor, which is verified.
    Cursor(Cursor),
}

impl From<Cursor> for After {
    fn from(cursor: Cursor) -> Self {
        Self::Cursor(cursor)
    }
}

/// Describes a subscription: which events to follow, and from where.
///
/// # Examples
///
/// ```
/// use downlink::{After, Filter, Subscribe};
///
/// let delays = Filter::types(["FlightDelayed"]);
/// let subscribe = Subscribe::new().with_after(After::Now).with_filter(delays);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Subscribe {
    pub(super) after: After,
    pub(super) filter: Filter,
    pub(super) budget: Option<ByteBudget>,
}

impl Subscribe {
    /// Subscribes to all events from the start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets where to begin: [`After::Start`] by default.
    pub fn with_after(mut self, after: impl Into<After>) -> Self {
        self.after = after.into();
        self
    }

    /// Sets which events to follow: all by default.
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets what the pages count against that the subscription holds while its
    /// reader is behind: nothing by default. Beyond it, the subscription holds a
    /// few events at a time and reads pages again, which is slower.
    pub fn with_budget(mut self, budget: ByteBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Where the subscription begins.
    #[must_use]
    pub fn after(&self) -> After {
        self.after
    }

    /// The filter that events have to match.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }
}
