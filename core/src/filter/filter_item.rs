use super::Pattern;
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::id::{EventType, StreamId, Tag};
use crate::limits;

/// One alternative of a [`Filter`](crate::Filter): any of these streams **and**
/// any of these types **and** none of those types **and** all of these tags.
///
/// Tags are joined by *and*, while streams, and types, are alternatives.
///
/// A group that was never set is no restriction. A group that was set to an
/// empty list matches nothing: a user who may see no stream must not see all of
/// them.
///
/// # Examples
///
/// ```
/// use downlink::FilterItem;
///
/// let item = FilterItem::new()
///     .with_stream("flight-UA1545")?
///     .with_stream_prefix("gate-")?
///     .with_tag("airport:EWR")?;
/// assert_eq!(item.parts().streams.len(), 2);
///
/// let allowed: Vec<String> = Vec::new();
/// assert!(FilterItem::new().with_streams(allowed)?.is_nothing());
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FilterItem {
    /// `None` until it is set.
    streams: Option<Vec<Pattern>>,
    types: Option<Vec<Pattern>>,
    not_types: Vec<EventType>,
    tags: Vec<Tag>,
}

/// The groups of a [`FilterItem`], for backends and transports.
///
/// An empty group is no restriction. (An item that matches nothing is removed
/// when the [`Filter`](crate::Filter) is made, so backends never see one.)
///
/// Exhaustive, so that a backend that destructures an item fails to compile
/// when a group is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterItemParts<'a> {
    /// The event's stream is one of these.
    pub streams: &'a [Pattern],
    /// The event's type is one of these.
    pub types: &'a [Pattern],
    /// The event's type is none of these.
    pub not_types: &'a [EventType],
    /// The event has all of these tags.
    pub tags: &'a [Tag],
}

impl FilterItem {
    /// Creates an item without restrictions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stream to the alternatives.
    ///
    /// # Errors
    ///
    /// Those of the name, and [`TooLarge`](crate::ErrorKind::TooLarge) if the
    /// item has more than [64 values](limits::MAX_FILTER_VALUES).
    pub fn with_stream<T>(self, stream: T) -> Result<Self>
    where
        T: TryInto<StreamId>,
        Error: From<T::Error>,
    {
        self.with_streams([stream])
    }

    /// Adds streams to the alternatives. If the list is empty and no other
    /// stream is added, the item matches nothing.
    ///
    /// # Errors
    ///
    /// As [`with_stream`](Self::with_stream).
    pub fn with_streams<T>(mut self, streams: impl IntoIterator<Item = T>) -> Result<Self>
    where
        T: TryInto<StreamId>,
        Error: From<T::Error>,
    {
        self.streams.get_or_insert_default();
        for stream in streams {
            let pattern = Pattern::Is(stream.try_into()?.into());
            self.streams.get_or_insert_default().push(pattern);
            self.check_values()?;
        }
        Ok(self)
    }

    /// Adds all streams whose names begin with `prefix` to the alternatives.
    ///
    /// # Errors
    ///
    /// As [`Pattern::prefix`], and as [`with_stream`](Self::with_stream) for the
    /// number of values.
    pub fn with_stream_prefix(mut self, prefix: &str) -> Result<Self> {
        self.streams.get_or_insert_default().push(Pattern::prefix(prefix)?);
        self.checked()
    }

    /// Adds a type to the alternatives.
    ///
    /// # Errors
    ///
    /// Those of the name, and [`TooLarge`](crate::ErrorKind::TooLarge) if the
    /// item has more than [64 values](limits::MAX_FILTER_VALUES).
    pub fn with_type<T>(self, event_type: T) -> Result<Self>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        self.with_types([event_type])
    }

    /// Adds types to the alternatives. If the list is empty and no other type is
    /// added, the item matches nothing.
    ///
    /// # Errors
    ///
    /// As [`with_type`](Self::with_type).
    pub fn with_types<T>(mut self, types: impl IntoIterator<Item = T>) -> Result<Self>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        self.types.get_or_insert_default();
        for event_type in types {
            let pattern = Pattern::Is(event_type.try_into()?.into());
            self.types.get_or_insert_default().push(pattern);
            self.check_values()?;
        }
        Ok(self)
    }

    /// Adds all types whose names begin with `prefix` to the alternatives.
    ///
    /// # Errors
    ///
    /// As [`Pattern::prefix`], and as [`with_type`](Self::with_type) for the
    /// number of values.
    pub fn with_type_prefix(mut self, prefix: &str) -> Result<Self> {
        self.types.get_or_insert_default().push(Pattern::prefix(prefix)?);
        self.checked()
    }

    /// Excludes a type.
    ///
    /// # Errors
    ///
    /// As [`with_type`](Self::with_type).
    pub fn without_type<T>(mut self, event_type: T) -> Result<Self>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        self.not_types.push(event_type.try_into()?);
        self.checked()
    }

    /// Requires a tag, in addition to those required already.
    ///
    /// To match events with one of several tags, make an item for each and join
    /// them with [`Filter::any_of`](crate::Filter::any_of), which also matches
    /// nothing for an empty list.
    ///
    /// # Errors
    ///
    /// Those of the name, and [`TooLarge`](crate::ErrorKind::TooLarge) if the
    /// item has more than [64 values](limits::MAX_FILTER_VALUES).
    pub fn with_tag<T>(mut self, tag: T) -> Result<Self>
    where
        T: TryInto<Tag>,
        Error: From<T::Error>,
    {
        self.tags.push(tag.try_into()?);
        self.checked()
    }

    /// The groups of restrictions.
    #[must_use]
    pub fn parts(&self) -> FilterItemParts<'_> {
        FilterItemParts {
            streams: self.streams.as_deref().unwrap_or_default(),
            types: self.types.as_deref().unwrap_or_default(),
            not_types: &self.not_types,
            tags: &self.tags,
        }
    }

    /// Whether there is no restriction at all.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether no event can match, since a list of streams or types was empty.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let is_empty = |group: &Option<Vec<Pattern>>| group.as_ref().is_some_and(Vec::is_empty);
        is_empty(&self.streams) || is_empty(&self.types)
    }

    pub(super) fn of_stream(stream: StreamId) -> Self {
        Self { streams: Some(vec![Pattern::Is(stream.into())]), ..Self::default() }
    }

    pub(super) fn values(&self) -> usize {
        let FilterItemParts { streams, types, not_types, tags } = self.parts();
        streams.len() + types.len() + not_types.len() + tags.len()
    }

    fn checked(self) -> Result<Self> {
        self.check_values().map(|()| self)
    }

    fn check_values(&self) -> Result<()> {
        check_count(self.values(), "values", limits::MAX_FILTER_VALUES)
    }

    pub(super) fn matches(&self, stream: &StreamId, content: &NewEvent) -> bool {
        let any = |patterns: &Option<Vec<Pattern>>, name: &str| {
            patterns.as_ref().is_none_or(|all| all.iter().any(|pattern| pattern.matches(name)))
        };
        any(&self.streams, stream.as_str())
            && any(&self.types, content.event_type().as_str())
            && !self.not_types.contains(content.event_type())
            && self.tags.iter().all(|tag| content.tags().contains(tag))
    }
}

/// Checks a count of a filter's parts against its limit.
pub(super) fn check_count(count: usize, what: &str, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::too_large(format!("the filter has more than {limit} {what}: split it"), limit))
}
