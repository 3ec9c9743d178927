use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::id::Position;

/// Where a subscription begins. Whatever is named is excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// Before the first event.
    #[default]
    Start,
    /// The end of the log at the moment of subscribing.
    Now,
    /// So that the last so many **matching** events come first; at most 1,000.
    Last(usize),
    /// A position that is trusted.
    Position(Position),
    /// A cursor, which is verified.
    Cursor(Cursor),
}

impl From<Cursor> for After {
    fn from(cursor: Cursor) -> Self {
        Self::Cursor(cursor)
    }
}

/// What to follow, and from where.
///
/// # Examples
///
/// ```
/// use downlink::{After, FilterItem, Subscribe};
///
/// let delays = FilterItem::new().with_type("FlightDelayed")?;
/// let subscribe = Subscribe::new().with_after(After::Now).with_filter(delays.into());
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Subscribe {
    pub(super) after: After,
    pub(super) filter: Filter,
}

impl Subscribe {
    /// Everything, from the start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to begin: [`After::Start`] by default.
    pub fn with_after(mut self, after: impl Into<After>) -> Self {
        self.after = after.into();
        self
    }

    /// Which events: all by default.
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Where it begins.
    #[must_use]
    pub fn after(&self) -> After {
        self.after
    }

    /// Which events it wants.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }
}
