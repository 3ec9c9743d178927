//! Which events somebody wants, or may see.

mod item;
mod pattern;

use std::fmt;

pub use item::{FilterItem, FilterItemParts};
pub use pattern::Pattern;

use crate::error::{Error, Result};
use crate::event::{Event, NewEvent};
use crate::id::StreamId;
use crate::limits;

/// Which events somebody wants, or may see: a conjunction of queries, each a
/// disjunction of [`FilterItem`]s.
///
/// The same filter serves reads, subscriptions, projections, transports,
/// rights and the boundaries of appends, and all of them ask the same function,
/// [`matches`](Self::matches). Two filters are intersected by
/// [`and`](Self::and), exactly (law `filters_intersect_exactly`).
///
/// No filter is larger than the [limits](crate::limits) allow, however it is
/// made, so that every store can answer every filter. A list that is empty
/// matches nothing: what a user may see must not become everything because he
/// may see nothing.
///
/// # Examples
///
/// ```
/// use downlink::{Filter, FilterItem};
///
/// let departures = FilterItem::new()
///     .with_stream_prefix("flight-")?
///     .with_type("FlightDeparted")?;
/// let newark = FilterItem::new().with_tag("airport:EWR")?;
/// let filter = Filter::from(departures).and(&newark.into())?;
/// assert!(!filter.is_everything());
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    queries: Vec<Vec<FilterItem>>,
}

impl Filter {
    /// Every event.
    #[must_use]
    pub const fn everything() -> Self {
        Self { queries: Vec::new() }
    }

    /// No event at all: what a list of things to see means that came out empty.
    #[must_use]
    pub fn nothing() -> Self {
        Self { queries: vec![Vec::new()] }
    }

    /// The events of any of these types, which are literals; see
    /// [`FilterItem::with_types`] for others.
    ///
    /// # Panics
    ///
    /// Panics if one is not a valid [`EventType`](crate::EventType), or above
    /// [64 types](limits::MAX_FILTER_VALUES).
    ///
    /// # Examples
    ///
    /// ```
    /// use downlink::Filter;
    ///
    /// let filter = Filter::types(["FlightDelayed", "FlightDeparted"]);
    /// assert!(!filter.is_everything());
    /// ```
    #[must_use]
    #[track_caller]
    pub fn types(types: impl IntoIterator<Item = &'static str>) -> Self {
        let item = FilterItem::new().with_types(types);
        item.unwrap_or_else(|error| panic!("{error}")).into()
    }

    /// The events that match at least one of the items: [none](Self::nothing) if
    /// there is no item.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above
    /// [64 items](limits::MAX_FILTER_VALUES), or as many values of all of them.
    pub fn any(items: impl IntoIterator<Item = FilterItem>) -> Result<Self> {
        let (mut query, mut values, mut is_everything) = (Vec::new(), 0, false);
        // Counted as they come, so that a list without end is no filter without end.
        for (index, item) in items.into_iter().enumerate() {
            check_count(index + 1, "alternatives", limits::MAX_FILTER_VALUES)?;
            values += item.values();
            check_count(values, "values", limits::MAX_FILTER_VALUES)?;
            is_everything |= item.is_everything();
            if !item.is_nothing() {
                query.push(item);
            }
        }
        Ok(if is_everything { Self::everything() } else { Self { queries: vec![query] } })
    }

    /// The events that match both.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above
    /// [16 queries](limits::MAX_FILTER_QUERIES); one that stands in both counts
    /// once.
    pub fn and(mut self, other: &Self) -> Result<Self> {
        if self.is_nothing() || other.is_nothing() {
            return Ok(Self::nothing());
        }
        for query in &other.queries {
            if !self.queries.contains(query) {
                self.queries.push(query.clone());
            }
        }
        check_count(self.queries.len(), "queries joined by 'and'", limits::MAX_FILTER_QUERIES)?;
        Ok(self)
    }

    /// Whether there is no restriction at all.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.queries.is_empty()
    }

    /// Whether no event can match, since a list of alternatives is empty.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.queries.iter().any(Vec::is_empty)
    }

    /// The queries, all of which an event has to match; it matches a query by
    /// matching one of its items. A query without items matches nothing.
    #[must_use]
    pub fn queries(&self) -> &[Vec<FilterItem>] {
        &self.queries
    }

    /// Whether an event of `stream` with this content matches. The one matching
    /// function of Downlink; a backend may narrow a scan by an index, and asks
    /// this for every candidate.
    #[must_use]
    pub fn matches(&self, stream: &StreamId, content: &NewEvent) -> bool {
        let matches_any =
            |query: &Vec<FilterItem>| query.iter().any(|item| item.matches(stream, content));
        self.queries.iter().all(matches_any)
    }

    /// Whether a stored event matches.
    #[must_use]
    pub fn matches_event(&self, event: &Event) -> bool {
        self.matches(event.stream(), event.content())
    }
}

impl From<FilterItem> for Filter {
    fn from(item: FilterItem) -> Self {
        if item.is_everything() {
            return Self::everything();
        }
        if item.is_nothing() {
            return Self::nothing();
        }
        Self { queries: vec![vec![item]] }
    }
}

/// Counts `what` of a filter against a limit of it.
fn check_count(count: usize, what: &str, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::too_large(format!("the filter has more than {limit} {what}: split it"), limit))
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("Filter(everything)");
        }
        if self.is_nothing() {
            return f.write_str("Filter(nothing)");
        }
        f.debug_tuple("Filter").field(&self.queries).finish()
    }
}

#[cfg(test)]
mod tests;
