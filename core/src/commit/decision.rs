use std::collections::HashMap;
use std::slice::Iter;

use super::{BoundaryFact, Facts, LogHead, Plan, StreamHead};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, FailedCheck, Result};
use crate::event::{Event, NewEvent, Timestamp};
use crate::id::{EventId, Position, StreamId, Version};
use crate::store::{Append, Appended, Check, Write, Written};

/// The log as it will be after the appends decided so far.
pub(super) struct Decision<'a> {
    facts: &'a Facts,
    rows: Vec<Event>,
    /// Indexes of `rows` by event id.
    row_of: HashMap<EventId, usize>,
    /// Streams that this group wrote.
    streams: HashMap<StreamId, (Version, Position)>,
    head: LogHead,
    recorded_at: Timestamp,
}

impl<'a> Decision<'a> {
    pub(super) fn new(facts: &'a Facts, head: LogHead, now: Timestamp) -> Self {
        Self {
            facts,
            rows: Vec::new(),
            row_of: HashMap::new(),
            streams: HashMap::new(),
            head,
            recorded_at: now.max(head.recorded_at),
        }
    }

    /// Decides one append. Takes one fact from `boundaries` for each boundary
    /// of the append, whatever the outcome.
    pub(super) fn take(
        &mut self,
        append: &Append,
        boundaries: &mut Iter<'_, BoundaryFact>,
    ) -> Result<Appended> {
        let failed = self.failed_checks(append, boundaries);
        if let Some(original) = self.repeated(append)? {
            return Ok(original);
        }
        let failed = failed?;
        if failed.is_empty() { Ok(self.accept(append)) } else { Err(Error::conflict(failed)) }
    }

    pub(super) fn into_plan(self, outcomes: Vec<Result<Appended>>) -> Plan {
        let streams = self
            .streams
            .into_iter()
            .map(|(stream, (version, position))| StreamHead { stream, version, position })
            .collect();
        Plan { outcomes, rows: self.rows, streams, head: self.head }
    }

    fn version(&self, stream: &StreamId) -> Option<Version> {
        match self.streams.get(stream) {
            Some((version, _)) => Some(*version),
            None => self.facts.streams.get(stream).copied(),
        }
    }

    fn known(&self, id: EventId) -> Option<&Event> {
        self.facts.events.get(&id).or_else(|| self.row_of.get(&id).map(|row| &self.rows[*row]))
    }

    /// The original outcome if this append was stored before, `None` if all its
    /// events are new.
    fn repeated(&self, append: &Append) -> Result<Option<Appended>> {
        let Some(id) = append.events().map(NewEvent::id).find(|id| self.known(*id).is_some())
        else {
            return Ok(None);
        };
        let mut writes = Vec::with_capacity(append.writes.len());
        let (mut first, mut last) = (Position::MAX, Cursor::START);
        for write in &append.writes {
            let (from, to) = self.stored_as(write).ok_or_else(|| id_reused(id))?;
            writes.push(Written {
                stream: write.stream.clone(),
                first: from.version(),
                last: to.version(),
            });
            first = first.min(from.position());
            last = last.max(to.cursor());
        }
        Ok(Some(Appended { writes, first, cursor: last, duplicate: true }))
    }

    /// The first and last stored event of a write, if it is stored with the
    /// same content.
    fn stored_as(&self, write: &Write) -> Option<(&Event, &Event)> {
        let mut run: Option<(&Event, &Event)> = None;
        for event in &write.events {
            let stored = self.known(event.id())?;
            let follows = run.is_none_or(|(_, last)| last.version().next() == stored.version());
            if !follows
                || *stored.stream() != write.stream
                || !stored.content().has_same_content(event)
            {
                return None;
            }
            run = Some((run.map_or(stored, |(first, _)| first), stored));
        }
        run
    }

    fn failed_checks(
        &self,
        append: &Append,
        boundaries: &mut Iter<'_, BoundaryFact>,
    ) -> Result<Vec<FailedCheck>> {
        let mut failed = Vec::new();
        let mut other_history = None;
        for write in &append.writes {
            failed.extend(self.failed_expectation(&write.stream, write.expected));
        }
        for check in &append.checks {
            match check {
                Check::Stream(stream, expected) => {
                    failed.extend(self.failed_expectation(stream, *expected));
                }
                Check::NothingAfter(filter, after) => {
                    let fact = boundaries.next().expect("a fact for every boundary");
                    match self.found_after(fact, filter) {
                        Ok(found) => failed.extend(
                            found.map(|found| FailedCheck::Boundary { after: *after, found }),
                        ),
                        Err(error) => other_history = Some(error),
                    }
                }
            }
        }
        other_history.map_or(Ok(failed), Err)
    }

    fn failed_expectation(
        &self,
        stream: &StreamId,
        expected: crate::Expected,
    ) -> Option<FailedCheck> {
        let actual = self.version(stream);
        (!expected.holds(actual)).then(|| FailedCheck::Stream {
            stream: stream.clone(),
            expected,
            actual,
        })
    }

    fn found_after(&self, fact: &BoundaryFact, filter: &crate::Filter) -> Result<Option<Cursor>> {
        match fact {
            BoundaryFact::Found(cursor) => Ok(Some(*cursor)),
            BoundaryFact::OtherHistory(error) => Err(error.clone()),
            BoundaryFact::Clear => {
                Ok(self.rows.iter().find(|row| filter.matches_event(row)).map(Event::cursor))
            }
        }
    }

    fn accept(&mut self, append: &Append) -> Appended {
        let first = self.head.next;
        let writes = append.writes.iter().map(|write| self.insert(write)).collect();
        self.head.recorded_at = self.recorded_at;
        Appended { writes, first, cursor: self.head.cursor, duplicate: false }
    }

    fn insert(&mut self, write: &Write) -> Written {
        let first = Version::following(self.version(&write.stream));
        let (mut next, mut last) = (first, (first, Position::ZERO));
        for event in &write.events {
            let position = self.head.next;
            let row =
                Event::new(position, write.stream.clone(), next, self.recorded_at, event.clone());
            (self.head.cursor, self.head.next) = (row.cursor(), position.next());
            self.row_of.insert(event.id(), self.rows.len());
            self.rows.push(row);
            last = (next, position);
            next = next.next();
        }
        self.streams.insert(write.stream.clone(), last);
        Written { stream: write.stream.clone(), first, last: last.0 }
    }
}

fn id_reused(id: EventId) -> Error {
    let message = format!(
        "event id {id} belongs to another event or to another append: a retry has to send the \
         same events with the same bytes, and a new event needs a new id"
    );
    Error::new(ErrorKind::IdReused, message)
}
