use std::collections::HashSet;
use std::hash::Hash;

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::filter::Filter;
use crate::id::StreamId;
use crate::limits;
use crate::store::Expected;

/// Events for one or more streams, stored all or not at all.
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
    /// What to write, each stream at most once.
    pub writes: Vec<Write>,
    /// What has to hold besides the expectations of the writes.
    pub checks: Vec<Check>,
}

/// Events for the end of one stream.
#[derive(Clone, Debug)]
pub struct Write {
    /// The stream.
    pub stream: StreamId,
    /// What it has to be like.
    pub expected: Expected,
    /// The events, at least one, in the order in which they are numbered.
    pub events: Vec<NewEvent>,
}

/// A condition on something that the append does not write.
///
/// Exhaustive: a backend has to obey all of it.
#[derive(Clone, Debug)]
pub enum Check {
    /// A stream that is not written is as expected.
    Stream(StreamId, Expected),
    /// No event that matches the filter came after the cursor: a dynamic
    /// consistency boundary. The cursor is where the decision read up to.
    NothingAfter(Filter, Cursor),
}

impl Append {
    /// Events for one stream.
    ///
    /// # Errors
    ///
    /// Those of the stream's name.
    pub fn to<S>(stream: S, expected: Expected, events: impl Into<Vec<NewEvent>>) -> Result<Self>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
    {
        Self::default().and(stream, expected, events)
    }

    /// Adds events for another stream.
    ///
    /// # Errors
    ///
    /// Those of the stream's name.
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

    /// All events, in the order of their positions.
    pub fn events(&self) -> impl Iterator<Item = &NewEvent> {
        self.writes.iter().flat_map(|write| &write.events)
    }

    /// The bytes that limits count.
    #[must_use]
    pub fn size(&self) -> usize {
        self.events().map(NewEvent::size).sum()
    }

    /// Checks everything that can be known without the log. Every store calls
    /// this first.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for an append or a write without events,
    /// an id twice, a stream in two writes, or a [`Check::Stream`] on a stream
    /// that is written; [`TooLarge`](crate::ErrorKind::TooLarge) past a
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
            Some(id) => Err(Error::invalid(format!("event id {id} stands twice in one append"))),
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
                "the write to stream '{stream}' has no events: add one"
            )));
        }
        if let Some(stream) = first_repeated(self.streams()) {
            return Err(Error::invalid(format!(
                "stream '{stream}' stands in two writes: join them"
            )));
        }
        if let Some(stream) = self.written_and_checked() {
            return Err(Error::invalid(format!(
                "stream '{stream}' is written and checked: say what you expect in its write"
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

/// The first item that was there before. Each is compared with those of its
/// hash only, so that a thousand streams cost a thousand lookups.
fn first_repeated<T: Copy + Eq + Hash>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = HashSet::with_capacity(items.size_hint().0);
    items.into_iter().find(|item| !seen.insert(*item))
}

/// The first of `items` that is in the set, which is made only if there is one.
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
