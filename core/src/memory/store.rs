use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use crate::commit::{Boundary, BoundaryFact, CommitFeed, Commits, Facts, Group, LogHead};
use crate::{
    Append, Appended, Cursor, Direction, Error, Event, EventId, EventStore, Mark, Page, Position,
    Read, Result, Scope, StreamId, StreamSpan, Timestamp, Version,
};

/// The reference store: a list of events and two maps.
///
/// Clones share the log. An append is decided and stored under one lock, so a
/// group is always one append, and nothing is ever half done. Reading looks at
/// every event after the mark; it is meant to be right, not fast.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink::{EventStoreExt, Expected, MemoryStore, NewEvent};
///
/// let store = MemoryStore::new();
/// let departed = NewEvent::with_json("FlightDeparted", "{}")?;
/// let appended = store.append_to("flight-UA1545", Expected::NoStream, [departed]).await?;
/// assert_eq!(appended.writes[0].last.get(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    log: Arc<RwLock<Log>>,
    feed: Arc<CommitFeed>,
}

#[derive(Clone, Debug, Default)]
struct Log {
    events: Vec<Event>,
    /// Indexes of `events`, by version.
    streams: HashMap<StreamId, Vec<usize>>,
    /// Indexes of `events`.
    ids: HashMap<EventId, usize>,
}

impl MemoryStore {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An independent copy of the log as it is now, as a backup is.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self { log: Arc::new(RwLock::new(log)), feed: Arc::default() }
    }

    /// Replaces the log by another one under the feet of everybody who uses it,
    /// as restoring a backup does.
    pub fn restore(&self, backup: &Self) {
        let log = backup.log.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.log.write().unwrap_or_else(PoisonError::into_inner) = log;
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        // Nothing panics between the first change and the last, so a poisoned lock is a whole log.
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let (from, stored) = (log.head().cursor, log.events.len());
        let outcome = log.append(append);
        // Under the lock, so that commits are told in their order.
        self.feed.committed(from, log.events[stored..].iter().cloned());
        outcome
    }

    async fn read(&self, read: Read) -> Result<Page> {
        self.log.read().unwrap_or_else(PoisonError::into_inner).read(&read)
    }

    async fn head(&self) -> Result<Cursor> {
        Ok(self.log.read().unwrap_or_else(PoisonError::into_inner).head().cursor)
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.feed.subscribe())
    }
}

impl Log {
    fn append(&mut self, append: Append) -> Result<Appended> {
        let group = Group::new(vec![append]);
        let mut plan = group.decide(&self.facts(&group), self.head(), Timestamp::now());
        for row in plan.rows {
            let index = self.events.len();
            self.streams.entry(row.stream().clone()).or_default().push(index);
            self.ids.insert(row.id(), index);
            self.events.push(row);
        }
        plan.outcomes.pop().expect("one outcome for one append")
    }

    fn facts(&self, group: &Group) -> Facts {
        let needs = group.needs();
        let version = |stream: &&StreamId| Some(((*stream).clone(), self.version(stream)?));
        let event = |id: &EventId| Some((*id, self.events[*self.ids.get(id)?].clone()));
        Facts {
            streams: needs.streams.iter().filter_map(version).collect(),
            events: needs.ids.iter().filter_map(event).collect(),
            boundaries: needs.boundaries.iter().map(|boundary| self.boundary(boundary)).collect(),
        }
    }

    fn boundary(&self, boundary: &Boundary<'_>) -> BoundaryFact {
        if let Err(error) = self.verify(Mark::Cursor(boundary.after)) {
            return BoundaryFact::OtherHistory(error);
        }
        let after = self.count_up_to(boundary.after.position());
        let found = self.events[after..].iter().find(|event| boundary.filter.matches_event(event));
        found.map_or(BoundaryFact::Clear, |event| BoundaryFact::Found(event.cursor()))
    }

    fn head(&self) -> LogHead {
        self.events
            .last()
            .map_or(LogHead::EMPTY, |event| LogHead::after(event.cursor(), event.recorded_at()))
    }

    fn version(&self, stream: &StreamId) -> Option<Version> {
        self.streams.get(stream).and_then(|events| self.events[*events.last()?].version().into())
    }

    /// The number of events at or below a position.
    fn count_up_to(&self, position: Position) -> usize {
        self.events.partition_point(|event| event.position() <= position)
    }

    /// Refuses a mark that is not of this log.
    fn verify(&self, mark: Mark) -> Result<()> {
        let head = self.head().cursor;
        if mark.position() > head.position() {
            return Err(Error::cursor_ahead(mark.position(), head));
        }
        match (mark, self.count_up_to(mark.position()).checked_sub(1)) {
            (Mark::Position(_), _) | (Mark::Cursor(_), None) => Ok(()),
            (Mark::Cursor(cursor), Some(index)) if self.events[index].cursor() == cursor => Ok(()),
            (Mark::Cursor(cursor), Some(_)) => Err(Error::history_changed(cursor)),
        }
    }

    fn read(&self, read: &Read) -> Result<Page> {
        match read.scope() {
            Scope::Log { after } => self.read_log(read, *after),
            Scope::Stream { stream, after } => Ok(self.read_stream(read, stream, *after)),
        }
    }

    fn read_log(&self, read: &Read, after: Option<Mark>) -> Result<Page> {
        after.map_or(Ok(()), |mark| self.verify(mark))?;
        let all = 0..self.events.len();
        let indexes: Vec<usize> = match (read.direction(), after.map(Mark::position)) {
            (Direction::Forward, after) => {
                (self.count_up_to(after.unwrap_or(Position::ZERO))..all.end).collect()
            }
            (Direction::Backward, None) => all.rev().collect(),
            (Direction::Backward, Some(before)) => {
                (0..self.events.partition_point(|event| event.position() < before)).rev().collect()
            }
        };
        let taken = self.take(read, &indexes);
        let scanned = match (read.direction(), taken.looked_at.checked_sub(1)) {
            (_, Some(last)) => self.events[indexes[last]].cursor(),
            (Direction::Forward, None) => self.newest_up_to(after),
            (Direction::Backward, None) => self.oldest_from(after),
        };
        let (events, more) = (taken.events, taken.looked_at < indexes.len());
        Ok(Page { events, scanned, head: self.head().cursor, more, stream: None })
    }

    fn newest_up_to(&self, after: Option<Mark>) -> Cursor {
        let count = after.map_or(0, |mark| self.count_up_to(mark.position()));
        count.checked_sub(1).map_or(Cursor::START, |index| self.events[index].cursor())
    }

    fn oldest_from(&self, before: Option<Mark>) -> Cursor {
        let from = before.map_or(self.events.len(), |mark| {
            self.events.partition_point(|event| event.position() < mark.position())
        });
        self.events.get(from).map_or(Cursor::START, Event::cursor)
    }

    fn read_stream(&self, read: &Read, stream: &StreamId, after: Option<Version>) -> Page {
        let head = self.head().cursor;
        let Some(all) = self.streams.get(stream) else {
            return Page { events: Vec::new(), scanned: head, head, more: false, stream: None };
        };
        let version = |index: &usize| self.events[*index].version();
        let indexes: Vec<usize> = match read.direction() {
            Direction::Forward => {
                all.iter().copied().filter(|index| Some(version(index)) > after).collect()
            }
            Direction::Backward => all
                .iter()
                .rev()
                .copied()
                .filter(|index| after.is_none_or(|after| version(index) < after))
                .collect(),
        };
        let taken = self.take(read, &indexes);
        let last = taken.looked_at.checked_sub(1).map(|last| &self.events[indexes[last]]);
        let more = taken.looked_at < indexes.len();
        Page {
            events: taken.events,
            scanned: last.filter(|_| more).map_or(head, Event::cursor),
            head,
            more,
            stream: Some(StreamSpan {
                version: all.last().map(version).expect("a stream has an event"),
                scanned: last.map(Event::version).or(after),
            }),
        }
    }

    /// Looks at these events until a bound is reached.
    fn take(&self, read: &Read, indexes: &[usize]) -> Taken {
        let mut taken = Taken { events: Vec::new(), looked_at: 0 };
        let mut bytes = 0;
        for event in indexes.iter().map(|index| &self.events[*index]) {
            if taken.events.len() >= read.max_events() {
                break;
            }
            if read.wanted().matches_event(event) {
                bytes += event.size();
                if bytes > read.byte_budget() && !taken.events.is_empty() {
                    break;
                }
                taken.events.push(event.clone());
            }
            taken.looked_at += 1;
        }
        taken
    }
}

struct Taken {
    events: Vec<Event>,
    looked_at: usize,
}
