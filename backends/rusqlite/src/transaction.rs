//! One transaction: the appends that wait, and those that come while it works.

use std::collections::HashMap;

use downlink::commit::{Boundary, BoundaryFact, Facts, Group, Needs, Plan};
use downlink::{
    Error, Event, EventId, EventType, Filter, Mark, Read, Result, StreamId, Timestamp, Version,
};
use downlink_sqlite_schema::links::{Chain, Links, Next};
use downlink_sqlite_schema::number::{
    position_from_sql, position_to_sql, to_sql, version_from_sql, version_to_sql,
};
use downlink_sqlite_schema::{HeadRow, NullableColumns, Pass, Remembered, Tail, id_from_sql, sql};
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, params};

use crate::batch::{Batch, Batches};
use crate::error::failed;
use crate::names::Names;
use crate::queue::Scan;
use crate::reader::page;
use crate::row::event_row;
use crate::snapshot::{Snapshot, head};

/// Why a transaction failed, as far as it matters for what was written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It did not begin: nobody's fault, and nothing was written.
    Begin(Error),
    /// It was taken back: nothing was written.
    Work(Error),
    /// It may have been committed; these were the plans.
    Commit(Error, Vec<Plan>),
}

/// What a writer knows from one transaction to the next.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) remembered: Remembered,
    pub(crate) names: Names,
}

/// Decides batches and stores what won, durably when this returns. One plan
/// for each batch that was taken.
pub(crate) fn run(
    connection: &Connection,
    memory: &mut Memory,
    batches: &mut Batches<'_>,
    turn: &Pass,
) -> Result<Vec<Plan>, Failure> {
    begin(connection).map_err(Failure::Begin)?;
    let worked = Transaction::begin(connection, memory)
        .and_then(|transaction| transaction.work(batches, turn));
    let (plans, remember) = match worked {
        Ok(worked) => worked,
        Err(error) => {
            roll_back(connection, memory);
            return Err(Failure::Work(error));
        }
    };
    if plans.iter().all(|plan| plan.rows.is_empty()) {
        roll_back_unchanged(connection)?;
    } else if let Err(error) = execute(connection, sql::COMMIT) {
        let is_certain = is_certain(connection, &error);
        roll_back(connection, memory);
        let error = failed("commit")(error);
        return Err(if is_certain { Failure::Work(error) } else { Failure::Commit(error, plans) });
    }
    remember.into_memory(&mut memory.remembered);
    Ok(plans)
}

/// Begins a transaction that writes.
pub(crate) fn begin(connection: &Connection) -> Result<()> {
    execute(connection, sql::BEGIN_WRITE).map_err(failed("begin a transaction"))
}

pub(crate) fn execute(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.execute(()).map(drop)
}

/// Some errors have taken the transaction back already, silently; whatever is
/// still open is taken back here, and nothing goes on in it.
fn roll_back(connection: &Connection, memory: &mut Memory) {
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, sql::ROLLBACK)
    {
        tracing::warn!(%error, "a transaction could not be taken back");
    }
    memory.remembered.forget();
}

fn roll_back_unchanged(connection: &Connection) -> Result<(), Failure> {
    execute(connection, sql::ROLLBACK).map_err(failed("end a transaction")).map_err(Failure::Work)
}

/// A transaction that is still open, or whose last page did not fit the disk,
/// was not committed. Of any other that failed nobody knows.
pub(crate) fn is_certain(connection: &Connection, error: &rusqlite::Error) -> bool {
    !connection.is_autocommit() || error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// A transaction that has begun.
struct Transaction<'a> {
    connection: &'a Connection,
    names: &'a mut Names,
    remembered: &'a mut Remembered,
    head: HeadRow,
    /// The ends of the streams that were needed, as they are by now.
    tails: HashMap<StreamId, Tail>,
}

/// What is remembered once the transaction is committed.
struct Remember {
    head: HeadRow,
    tails: HashMap<StreamId, Tail>,
}

impl Remember {
    fn into_memory(self, remembered: &mut Remembered) {
        for (stream, tail) in self.tails {
            remembered.put(stream, tail);
        }
        remembered.committed(self.head);
    }
}

impl<'a> Transaction<'a> {
    fn begin(connection: &'a Connection, memory: &'a mut Memory) -> Result<Self> {
        let head = head(connection)?;
        let Memory { remembered, names } = memory;
        remembered.check(&head);
        Ok(Self { connection, names, remembered, head, tails: HashMap::new() })
    }

    fn work(mut self, batches: &mut Batches<'_>, turn: &Pass) -> Result<(Vec<Plan>, Remember)> {
        let mut plans = Vec::new();
        while let Some(Batch { group, scans, .. }) = batches.next(turn) {
            plans.push(self.store(group, scans)?);
        }
        Ok((plans, Remember { head: self.head, tails: self.tails }))
    }

    /// Decides one batch and stores what won, so that the next one finds it
    /// like everything else.
    fn store(&mut self, group: &Group, scans: &[Scan]) -> Result<Plan> {
        let facts = self.facts(&group.needs(), scans)?;
        let plan = group.decide(&facts, self.head.log_head(), Timestamp::now());
        self.insert(&plan.rows)?;
        if let Some(id) = plan.rows.iter().map(Event::id).max() {
            // Forgotten again if the transaction fails.
            self.remembered.put_id(id);
        }
        if let Some(last) = plan.rows.last() {
            self.set_stream_heads(&plan)?;
            self.head = self.head.after(last);
            self.set_head()?;
        }
        Ok(plan)
    }

    fn facts(&mut self, needs: &Needs<'_>, scans: &[Scan]) -> Result<Facts> {
        let mut facts = Facts::default();
        for stream in &needs.streams {
            if let Some(version) = self.version(stream)? {
                facts.streams.insert((*stream).clone(), version);
            }
        }
        self.known_events(&needs.ids, &mut facts)?;
        let scans = scans.iter().copied().chain(std::iter::repeat(Scan::NotYet));
        for (boundary, scan) in needs.boundaries.iter().zip(scans) {
            facts.boundaries.push(self.boundary(boundary, scan)?);
        }
        Ok(facts)
    }

    fn version(&mut self, stream: &StreamId) -> Result<Option<Version>> {
        if let Some(tail) = self.tails.get(stream) {
            return Ok(Some(tail.chain.version()));
        }
        let Some(tail) = self.tail(stream)? else { return Ok(None) };
        let version = tail.chain.version();
        self.tails.insert(stream.clone(), tail);
        Ok(Some(version))
    }

    fn tail(&mut self, stream: &StreamId) -> Result<Option<Tail>> {
        if let Some(tail) = self.remembered.take(stream) {
            return Ok(Some(tail));
        }
        let row = self
            .connection
            .prepare_cached(sql::STREAM_HEAD)
            .and_then(|mut statement| {
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                statement.query_row([stream.as_str()], read).optional()
            })
            .map_err(failed("look up a stream"))?;
        row.map(|(key, version, position)| {
            let chain = Chain::of_head(version_from_sql(version)?, position_from_sql(position)?);
            Ok(Tail { key, chain })
        })
        .transpose()
    }

    /// Ids are compared as bytes, so those above the highest one are new,
    /// whatever the clock says.
    fn known_events(&mut self, ids: &[EventId], facts: &mut Facts) -> Result<()> {
        let Some(highest) = self.highest_id()? else { return Ok(()) };
        for id in ids.iter().filter(|id| **id <= highest) {
            if let Some(event) = self.event_by_id(*id)? {
                facts.events.insert(*id, event);
            }
        }
        Ok(())
    }

    fn highest_id(&mut self) -> Result<Option<EventId>> {
        if let Some(id) = self.remembered.max_id() {
            return Ok(Some(id));
        }
        let id: Option<Vec<u8>> = self
            .connection
            .prepare_cached(sql::MAX_ID)
            .and_then(|mut statement| statement.query_row((), |row| row.get(0)).optional())
            .map_err(failed("look up the highest id"))?;
        let id = id.map(|id| id_from_sql(&id)).transpose()?;
        if let Some(id) = id {
            self.remembered.put_id(id);
        }
        Ok(id)
    }

    fn event_by_id(&mut self, id: EventId) -> Result<Option<Event>> {
        let doing = "look up an event";
        let mut statement =
            self.connection.prepare_cached(sql::EVENT_BY_ID).map_err(failed(doing))?;
        let mut rows = statement.query([&id.as_bytes()[..]]).map_err(failed(doing))?;
        let Some(row) = rows.next().map_err(failed(doing))? else { return Ok(None) };
        let row = event_row(row).map_err(failed(doing))?;
        self.names.check(self.connection, &self.head)?;
        self.names.event(self.connection, &row).map(Some)
    }

    /// Answers a boundary; what a reader has looked at before is trusted as
    /// far as it is still part of this log.
    fn boundary(&mut self, boundary: &Boundary<'_>, scan: Scan) -> Result<BoundaryFact> {
        let mut snapshot = Snapshot::of(self.connection, self.names)?;
        if let Err(error) = snapshot.verify(Mark::Cursor(boundary.after)) {
            return if error.is_other_history() {
                Ok(BoundaryFact::OtherHistory(error))
            } else {
                Err(error)
            };
        }
        let is_current = |cursor| snapshot.verify(Mark::Cursor(cursor)).is_ok();
        let after = match scan {
            Scan::Found(cursor) if is_current(cursor) => return Ok(BoundaryFact::Found(cursor)),
            Scan::ClearUpTo(cursor) if is_current(cursor) => cursor,
            _ => boundary.after,
        };
        let mut read = first_match(boundary.filter, after);
        loop {
            let page = page(&mut snapshot, &read)?;
            if let Some(event) = page.events.first() {
                return Ok(BoundaryFact::Found(event.cursor()));
            }
            if !page.more {
                return Ok(BoundaryFact::Clear);
            }
            read = read.resume(page.scanned);
        }
    }

    fn insert(&mut self, rows: &[Event]) -> Result<()> {
        let connection = self.connection;
        let mut statement =
            connection.prepare_cached(sql::ADD_EVENT).map_err(failed("store an event"))?;
        for event in rows {
            let links = self.links(event.stream())?;
            let tail = match self.tails.get_mut(event.stream()) {
                Some(tail) => {
                    tail.chain.push(event.position());
                    tail
                }
                None => self.add_stream(event)?,
            };
            let stream = tail.key;
            let event_type = self.type_key(event.event_type())?;
            add(&mut statement, event, stream, event_type, links)?;
        }
        Ok(())
    }

    fn links(&mut self, stream: &StreamId) -> Result<Links> {
        let Some(tail) = self.tails.get_mut(stream) else { return Ok(Chain::FIRST) };
        loop {
            match tail.chain.next() {
                Next::Ready(links) => return Ok(links),
                Next::Fetch(position) => {
                    let jump = self
                        .connection
                        .prepare_cached(sql::LINKS_AT)
                        .and_then(|mut statement| {
                            statement.query_row([position_to_sql(position)], |row| row.get(2))
                        })
                        .map_err(failed("follow a link"))?;
                    tail.chain.learn(position_from_sql(jump)?);
                }
            }
        }
    }

    fn add_stream(&mut self, first: &Event) -> Result<&mut Tail> {
        let stream = first.stream();
        // A stream has a key from its first event on, which is this one.
        let key = add_name(self.connection, sql::ADD_STREAM, stream.as_str())?;
        let chain = Chain::of_head(first.version(), first.position());
        Ok(self.tails.entry(stream.clone()).or_insert(Tail { key, chain }))
    }

    fn type_key(&mut self, event_type: &EventType) -> Result<i64> {
        if let Some(key) = self.remembered.type_key(event_type) {
            return Ok(key);
        }
        let known = self
            .connection
            .prepare_cached(sql::TYPE_KEY)
            .and_then(|mut statement| {
                statement.query_row([event_type.as_str()], |row| row.get(0)).optional()
            })
            .map_err(failed("look up a type"))?;
        let key = known
            .map_or_else(|| add_name(self.connection, sql::ADD_TYPE, event_type.as_str()), Ok)?;
        self.remembered.put_type(event_type.clone(), key);
        Ok(key)
    }

    fn set_stream_heads(&mut self, plan: &Plan) -> Result<()> {
        let mut written: Vec<&Tail> =
            plan.streams.iter().filter_map(|head| self.tails.get(&head.stream)).collect();
        // Neighbours share pages.
        written.sort_unstable_by_key(|tail| tail.key);
        let doing = "store the head of a stream";
        let mut statement =
            self.connection.prepare_cached(sql::SET_STREAM_HEAD).map_err(failed(doing))?;
        for Tail { key, chain } in written {
            let parameters =
                (key, version_to_sql(chain.version()), position_to_sql(chain.position()));
            statement.execute(parameters).map_err(failed(doing))?;
        }
        Ok(())
    }

    fn set_head(&self) -> Result<()> {
        let HeadRow { position, id, recorded_at, generation } = &self.head;
        let id = id.as_ref().map(|id| &id.as_bytes()[..]);
        let parameters = (
            position_to_sql(*position),
            id,
            to_sql(recorded_at.as_micros())?,
            to_sql(*generation)?,
        );
        self.connection
            .prepare_cached(sql::SET_HEAD)
            .and_then(|mut statement| statement.execute(parameters))
            .map(drop)
            .map_err(failed("store the head"))
    }
}

/// The first event that matches after a cursor, and nothing else.
pub(crate) fn first_match(filter: &Filter, after: downlink::Cursor) -> Read {
    Read::log().resume(after).filter(filter.clone()).limit(1)
}

fn add(
    statement: &mut CachedStatement<'_>,
    event: &Event,
    stream: i64,
    event_type: i64,
    links: Links,
) -> Result<()> {
    let NullableColumns { content_type, tags, metadata } = NullableColumns::of(event.content());
    statement
        .execute(params![
            position_to_sql(event.position()),
            &event.id().as_bytes()[..],
            stream,
            version_to_sql(event.version()),
            position_to_sql(links.prev),
            position_to_sql(links.jump),
            event_type,
            to_sql(event.recorded_at().as_micros())?,
            content_type,
            tags,
            metadata,
            &event.payload()[..],
        ])
        .map(drop)
        .map_err(failed("store an event"))
}

fn add_name(connection: &Connection, text: &str, name: &str) -> Result<i64> {
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.insert([name]))
        .map_err(failed("store a name"))
}
