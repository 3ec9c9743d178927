use std::fmt;

use super::filter_item::{self, FilterItem};
use crate::error::Result;
use crate::event::{Event, NewEvent};
use crate::id::StreamId;
use crate::limits;

/// Which events a reader wants, or may see: a conjunction of queries, each a
/// disjunction of [`FilterItem`]s.
///
/// Reads, subscriptions, projections, transports, permissions and the
/// boundaries of appends all use this type and the same function,
/// [`matches`](Self::matches). [`and`](Self::and) is the exact intersection of
/// two filters (law `filters_intersect_exactly`).
///
/// No filter exceeds the [limits](crate::limits), however it is made, so that
/// every store supports every filter. An empty list matches nothing: a user who
/// may see nothing must not see everything.
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
    /// Matches every event.
    #[must_use]
    pub const fn everything() -> Self {
        Self { queries: Vec::new() }
    }

    /// Matches no event. An empty list of permitted streams, for example, means
    /// this.
    #[must_use]
    pub fn nothing() -> Self {
        Self { queries: vec![Vec::new()] }
    }

    /// Matches the events of any of these types, which are string literals; see
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

    /// Matches the events of one stream.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        FilterItem::of_stream(stream).into()
    }

    /// Matches the events that match at least one of the items;
    /// [nothing](Self::nothing) if there are none.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above [64
    /// items](limits::MAX_FILTER_VALUES), or above 64 values in all of them
    /// together.
    pub fn any_of(items: impl IntoIterator<Item = FilterItem>) -> Result<Self> {
        let (mut query, mut values, mut is_everything) = (Vec::new(), 0, false);
        // Counted one by one, so that an endless iterator cannot make an endless filter.
        for (index, item) in items.into_iter().enumerate() {
            filter_item::check_count(index + 1, "alternatives", limits::MAX_FILTER_VALUES)?;
            values += item.values();
            filter_item::check_count(values, "values", limits::MAX_FILTER_VALUES)?;
            is_everything |= item.is_everything();
            if !item.is_nothing() {
                query.push(item);
            }
        }
        Ok(if is_everything { Self::everything() } else { Self { queries: vec![query] } })
    }

    /// Matches the events that match both filters.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above [16
    /// queries](limits::MAX_FILTER_QUERIES); a query that is in both filters
    /// counts once.
    pub fn and(mut self, other: &Self) -> Result<Self> {
        if self.is_nothing() || other.is_nothing() {
            return Ok(Self::nothing());
        }
        for query in &other.queries {
            if !self.queries.contains(query) {
                self.queries.push(query.clone());
            }
        }
        filter_item::check_count(
            self.queries.len(),
            "queries joined by 'and'",
            limits::MAX_FILTER_QUERIES,
        )?;
        Ok(self)
    }

    /// Whether there is no restriction at all.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.queries.is_empty()
    }

    /// Whether some query has no items, so that no event can match.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.queries.iter().any(Vec::is_empty)
    }

    /// The queries. An event has to match all of them; it matches a query if it
    /// matches at least one of its items. A query without items matches
    /// nothing.
    #[must_use]
    pub fn queries(&self) -> &[Vec<FilterItem>] {
        &self.queries
    }

    /// Whether an event of `stream` with this content matches. This is the only
    /// matching function of Downlink: a backend may narrow a scan with an
    /// index, and calls this for every candidate.
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
