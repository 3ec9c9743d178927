use super::Pattern;
use crate::{Error, EventType, NewEvent, Result, StreamId, Tag};

/// One alternative of a [`Filter`](crate::Filter): any of these streams **and**
/// any of these types **and** none of those types **and** all of these tags.
///
/// A group without values is no restriction. The fields are public and
/// complete, so that a backend that takes an item apart notices when one is
/// added.
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
/// assert_eq!(item.streams.len(), 2);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FilterItem {
    /// The event's stream is one of these.
    pub streams: Vec<Pattern>,
    /// The event's type is one of these.
    pub types: Vec<Pattern>,
    /// The event's type is none of these.
    pub not_types: Vec<EventType>,
    /// The event has all of these tags.
    pub tags: Vec<Tag>,
}

impl FilterItem {
    /// No restriction yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stream to the alternatives.
    ///
    /// # Errors
    ///
    /// Those of the name.
    pub fn with_stream<T>(mut self, stream: T) -> Result<Self>
    where
        T: TryInto<StreamId>,
        Error: From<T::Error>,
    {
        self.streams.push(Pattern::Is(stream.try_into()?.as_str().into()));
        Ok(self)
    }

    /// Adds all streams whose names begin so to the alternatives.
    ///
    /// # Errors
    ///
    /// As [`Pattern::prefix`].
    pub fn with_stream_prefix(mut self, prefix: &str) -> Result<Self> {
        self.streams.push(Pattern::prefix(prefix)?);
        Ok(self)
    }

    /// Adds a type to the alternatives.
    ///
    /// # Errors
    ///
    /// Those of the name.
    pub fn with_type<T>(mut self, event_type: T) -> Result<Self>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        self.types.push(Pattern::Is(event_type.try_into()?.as_str().into()));
        Ok(self)
    }

    /// Adds all types whose names begin so to the alternatives.
    ///
    /// # Errors
    ///
    /// As [`Pattern::prefix`].
    pub fn with_type_prefix(mut self, prefix: &str) -> Result<Self> {
        self.types.push(Pattern::prefix(prefix)?);
        Ok(self)
    }

    /// Excludes a type.
    ///
    /// # Errors
    ///
    /// Those of the name.
    pub fn without_type<T>(mut self, event_type: T) -> Result<Self>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        self.not_types.push(event_type.try_into()?);
        Ok(self)
    }

    /// Demands a tag, besides those demanded already.
    ///
    /// # Errors
    ///
    /// Those of the name.
    pub fn with_tag<T>(mut self, tag: T) -> Result<Self>
    where
        T: TryInto<Tag>,
        Error: From<T::Error>,
    {
        self.tags.push(tag.try_into()?);
        Ok(self)
    }

    /// Whether there is no restriction at all.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.values() == 0
    }

    pub(super) fn values(&self) -> usize {
        self.streams.len() + self.types.len() + self.not_types.len() + self.tags.len()
    }

    pub(super) fn matches(&self, stream: &StreamId, content: &NewEvent) -> bool {
        let any = |patterns: &[Pattern], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
        };
        any(&self.streams, stream.as_str())
            && any(&self.types, content.event_type().as_str())
            && !self.not_types.contains(content.event_type())
            && self.tags.iter().all(|tag| content.tags().contains(tag))
    }
}
