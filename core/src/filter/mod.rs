//! Which events somebody wants, or may see.

mod item;
mod pattern;

use std::fmt;

pub use item::FilterItem;
pub use pattern::Pattern;

use crate::{Error, Event, NewEvent, Result, StreamId, limits};

/// Which events somebody wants, or may see: a conjunction of queries, each a
/// disjunction of [`FilterItem`]s.
///
/// The same filter serves reads, subscriptions, projections, transports,
/// rights and the boundaries of appends, and all of them ask the same function,
/// [`matches`](Self::matches). Two filters are intersected by
/// [`and`](Self::and), exactly (law `filters_intersect_exactly`).
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
/// let filter = Filter::from(departures).and(&newark.into());
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

    /// The events that match at least one of the items.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) without any item, since "none of
    /// nothing" is more likely a mistake than a wish;
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above 64 values.
    pub fn any(items: impl IntoIterator<Item = FilterItem>) -> Result<Self> {
        let items: Vec<_> = items.into_iter().collect();
        if items.is_empty() {
            return Err(Error::invalid(
                "a filter of alternatives names none: leave it out or add one",
            ));
        }
        let values: usize = items.iter().map(FilterItem::values).sum();
        if values > limits::MAX_FILTER_VALUES || items.len() > limits::MAX_FILTER_VALUES {
            let message = format!("a filter has at most {} values", limits::MAX_FILTER_VALUES);
            return Err(Error::too_large(message, limits::MAX_FILTER_VALUES));
        }
        if items.iter().any(FilterItem::is_everything) {
            return Ok(Self::everything());
        }
        Ok(Self { queries: vec![items] })
    }

    /// The events that match both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for query in &other.queries {
            if !self.queries.contains(query) {
                self.queries.push(query.clone());
            }
        }
        self
    }

    /// Whether there is no restriction at all.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.queries.is_empty()
    }

    /// The queries, all of which an event has to match; it matches a query by
    /// matching one of its items.
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
        Self { queries: vec![vec![item]] }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("Filter(everything)");
        }
        f.debug_tuple("Filter").field(&self.queries).finish()
    }
}

#[cfg(test)]
mod tests;
