use std::collections::HashSet;
use std::hash::Hash;

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::filter::Filter;
use crate::id::StreamId;
use crate::limits;
use crate::store::Expected;

/// Events for one or more streams, stored atomically.
///
/// # Examples
///
/// ```
/// use downlink::{Append, Check, Expected, NewEvent};
///
/// let landed = NewEvent::json("FlightLanded", r#"{"gate":"B12"}"#)?;
/// let taken = NewEvent::json("GateTaken", r#"{"flight":"UA1545"}"#)?;
/// let append = Append::to("flight-UA1545", Expected::Exists, [landed])?
///     .and("gate-B12", Expected::Any, [taken])?
///     .with_check(Check::Stream("airport-IAH".try_into()?, Expected::NoStream));
/// append.validate()?;
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// The writes. Each stream occurs at most once.
    pub writes: Vec<Write>,
    /// Conditions in addition to the expectations of the writes.
    pub checks: Vec<Check>,
}

/// Events for the end of one stream.
#[derive(Clone, Debug)]
pub struct Write {
    /// The stream.
    pub stream: StreamId,
    /// The required state of the stream.
    pub expected: Expected,
    /// The events in order, at least one.
    pub events: Vec<NewEvent>,
}

/// A condition on a part of the log that the append does not write.
///
/// Exhaustive, since a backend has to support every variant.
#[derive(Clone, Debug)]
pub enum Check {
    /// A stream that the append does not write is as expected.
    Stream(StreamId, Expected),
    /// No event after the cursor matches the filter: a dynamic consistency
    /// boundary. The cursor is the point up to which the decision has read.
    NothingAfter(Filter, Cursor),
}

impl Append {
    /// Creates an append of events to one stream.
    ///
    /// Make a variant of a serde enum an event with
    /// [`NewEvent::from_variant`](crate::NewEvent::from_variant), or with
    /// [`Schema::encode`](crate::Schema::encode) if its form has changed.
    ///
    /// # Errors
    ///
    /// As [`StreamId::new`].
    pub fn to<S>(stream: S, expected: Expected, events: impl Into<Vec<NewEvent>>) -> Result<Self>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
    {
        Self::default().and(stream, expected, events)
    }

    /// Adds events to another stream.
    ///
    /// # Errors
    ///
    /// As [`StreamId::new`].
    pub fn and<S>(
        mut self,
        stream: S,
        expected: Expected,
        events: impl Into<Vec<NewEvent>>,
    ) -> Result<Self>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
    {
        let stream = stream.try_into()?;
        self.writes.push(Write { stream, expected, events: events.into() });
        Ok(self)
    }

    /// Adds a condition.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// All events, in the order in which they get their positions.
    pub fn events(&self) -> impl Iterator<Item = &NewEvent> {
        self.writes.iter().flat_map(|write| &write.events)
    }

    /// The size in bytes that limits count: the sum of [`NewEvent::size`].
    #[must_use]
    pub fn size(&self) -> usize {
        self.events().map(NewEvent::size).sum()
    }

    /// Checks everything that can be checked without the log. Every store calls
    /// this first.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for an append or a write without
    /// events, a repeated event id, a stream in two writes, or a
    /// [`Check::Stream`] on a stream that is written;
    /// [`TooLarge`](crate::ErrorKind::TooLarge) beyond a
    /// [limit](crate::limits).
    pub fn validate(&self) -> Result<()> {
        check_count(self.events().count(), "events", limits::MAX_EVENTS_PER_APPEND)?;
        check_count(self.checks.len(), "checks", limits::MAX_CHECKS_PER_APPEND)?;
        check_count(self.size(), "bytes", limits::MAX_APPEND_BYTES)?;
        self.validate_ids()?;
        self.validate_streams()
    }

    fn validate_ids(&self) -> Result<()> {
        if let ([Write { events, .. }], true) = (&self.writes[..], self.writes.len() == 1)
            && events.len() == 1
        {
            return Ok(());
        }
        match first_repeated(self.events().map(NewEvent::id)) {
            Some(id) => Err(Error::invalid(format!("event id {id} occurs twice in one append"))),
            None => Ok(()),
        }
    }

    fn validate_streams(&self) -> Result<()> {
        if self.writes.is_empty() {
            return Err(Error::invalid("the append has no events: add at least one"));
        }
        if let Some(Write { stream, .. }) = self.writes.iter().find(|write| write.events.is_empty())
        {
            return Err(Error::invalid(format!(
                "the write to stream '{stream}' has no events: add at least one"
            )));
        }
        if let Some(stream) = first_repeated(self.streams()) {
            return Err(Error::invalid(format!(
                "stream '{stream}' occurs in two writes: merge them"
            )));
        }
        if let Some(stream) = self.written_and_checked() {
            return Err(Error::invalid(format!(
                "stream '{stream}' is written and checked: put the expectation into its write"
            )));
        }
        Ok(())
    }

    fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.writes.iter().map(|write| &write.stream)
    }

    fn written_and_checked(&self) -> Option<&StreamId> {
        let mut checked = self.checks.iter().filter_map(|check| match check {
            Check::Stream(stream, _) => Some(stream),
            Check::NothingAfter(..) => None,
        });
        first_common(|| self.streams().collect(), &mut checked)
    }
}

fn check_count(count: usize, what: &str, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::too_large(format!("{count} {what} in one append: the limit is {limit}"), limit))
}

/// The first item that occurred before. By hash, so that a thousand streams
/// cost a thousand lookups.
fn first_repeated<T: Copy + Eq + Hash>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = HashSet::with_capacity(items.size_hint().0);
    items.into_iter().find(|item| !seen.insert(*item))
}

/// The first of `items` that is in the set. The set is built only if there are
/// items.
fn first_common<T: Eq + Hash>(
    set: impl FnOnce() -> HashSet<T>,
    items: &mut impl Iterator<Item = T>,
) -> Option<T> {
    let first = items.next()?;
    let set = set();
    std::iter::once(first).chain(items).find(|item| set.contains(item))
}

#[cfg(test)]
mod tests;
