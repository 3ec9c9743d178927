use std::collections::HashSet;

use crate::{
    Cursor, Error, Expected, Filter, NewEvent, Position, Result, StreamId, Version, limits,
};

/// Events for one or more streams, stored all or not at all.
///
/// # Examples
///
/// ```
/// use downlink::{Append, Check, Expected, NewEvent};
///
/// let landed = NewEvent::with_json("FlightLanded", r#"{"gate":"B12"}"#)?;
/// let taken = NewEvent::with_json("GateTaken", r#"{"flight":"UA1545"}"#)?;
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
        let events = self.events().count();
        if events > limits::MAX_EVENTS_PER_APPEND {
            let limit = limits::MAX_EVENTS_PER_APPEND;
            let message = format!("{events} events in one append: the limit is {limit}");
            return Err(Error::too_large(message, limit));
        }
        let bytes = self.size();
        if bytes > limits::MAX_APPEND_BYTES {
            let limit = limits::MAX_APPEND_BYTES;
            let message = format!("{bytes} bytes in one append: the limit is {limit}");
            return Err(Error::too_large(message, limit));
        }
        self.validate_ids()?;
        self.validate_streams()
    }

    fn validate_ids(&self) -> Result<()> {
        if let ([Write { events, .. }], true) = (&self.writes[..], self.writes.len() == 1)
            && events.len() == 1
        {
            return Ok(());
        }
        let mut ids = HashSet::new();
        match self.events().find(|event| !ids.insert(event.id())) {
            Some(event) => {
                Err(Error::invalid(format!("event id {} stands twice in one append", event.id())))
            }
            None => Ok(()),
        }
    }

    fn validate_streams(&self) -> Result<()> {
        if self.writes.is_empty() {
            return Err(Error::invalid("the append has no events: add at least one"));
        }
        for (index, write) in self.writes.iter().enumerate() {
            let stream = &write.stream;
            if write.events.is_empty() {
                return Err(Error::invalid(format!(
                    "the write to stream '{stream}' has no events: add one"
                )));
            }
            if self.writes[..index].iter().any(|earlier| earlier.stream == *stream) {
                return Err(Error::invalid(format!(
                    "stream '{stream}' stands in two writes: join them"
                )));
            }
            let is_written =
                |check: &Check| matches!(check, Check::Stream(checked, _) if checked == stream);
            if self.checks.iter().any(is_written) {
                return Err(Error::invalid(format!(
                    "stream '{stream}' is written and checked: say what you expect in its write"
                )));
            }
        }
        Ok(())
    }
}

/// Where an append was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// One for each write, in their order.
    pub writes: Vec<Written>,
    /// The position of the first event.
    pub first: Position,
    /// The token of the last event: whoever has handled it has handled this
    /// append.
    pub cursor: Cursor,
    /// Whether it had been stored before, by an append with the same ids. The
    /// versions and positions are the original ones.
    pub duplicate: bool,
}

impl Appended {
    /// The position of the last event.
    #[must_use]
    pub fn last(&self) -> Position {
        self.cursor.position()
    }
}

/// Where one write was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The stream.
    pub stream: StreamId,
    /// The version of the write's first event.
    pub first: Version,
    /// The version of the write's last event.
    pub last: Version,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn events(count: usize) -> Vec<NewEvent> {
        (0..count).map(|_| NewEvent::with_json("FlightDelayed", "{}").unwrap()).collect()
    }

    #[expect(clippy::needless_pass_by_value, reason = "every test makes the append it asks about")]
    fn kind(append: Append) -> Option<ErrorKind> {
        append.validate().err().map(|error| error.kind())
    }

    #[test]
    fn the_number_of_events_is_limited() {
        let of = |count| Append::to("s", Expected::Any, events(count)).unwrap();
        assert_eq!(kind(of(limits::MAX_EVENTS_PER_APPEND - 1)), None);
        assert_eq!(kind(of(limits::MAX_EVENTS_PER_APPEND)), None);
        assert_eq!(kind(of(limits::MAX_EVENTS_PER_APPEND + 1)), Some(ErrorKind::TooLarge));
    }

    #[test]
    fn what_can_never_be_meant_is_invalid() {
        let invalid = Some(ErrorKind::Invalid);
        let one = events(1);
        let twice = [one.clone(), one].concat();
        assert_eq!(kind(Append::default()), invalid);
        assert_eq!(kind(Append::to("s", Expected::Any, []).unwrap()), invalid);
        assert_eq!(kind(Append::to("s", Expected::Any, twice.clone()).unwrap()), invalid);
        let in_two_streams = Append::to("s", Expected::Any, [twice[0].clone()]).unwrap();
        assert_eq!(
            kind(in_two_streams.and("t", Expected::Any, [twice[1].clone()]).unwrap()),
            invalid
        );
        let two_writes = Append::to("s", Expected::Any, events(1)).unwrap();
        assert_eq!(kind(two_writes.and("s", Expected::Any, events(1)).unwrap()), invalid);
        let checked = Append::to("s", Expected::Any, events(1)).unwrap();
        let check = Check::Stream("s".try_into().unwrap(), Expected::NoStream);
        assert_eq!(kind(checked.with_check(check)), invalid);
    }
}
