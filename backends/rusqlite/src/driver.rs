//! The steps of a transaction that writes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use downlink::commit::{self, CommitOutcome, Facts, Linger, LogHead, Needs, Plan, Upkeep};
use downlink::store::Page;
use downlink::{ErrorKind, Event, EventId, EventType, Read, Result, StreamId};
use downlink_sqlite_schema::links::{Chain, Links, Next, broken};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql, to_sql, version_to_sql};
use downlink_sqlite_schema::{
    HeadRow, Indexing, NullableColumns, Pass, Tail, Turnstile, WriterCache, check_head,
    id_from_sql, is_full, not_open, sql,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::connection::{Current, Role, Slot};
use crate::error::failed;
use crate::names::Names;
use crate::postings::{index, indexed_and_head};
use crate::reader::page;
use crate::row::event_row;
use crate::snapshot::{Snapshot, head};
use crate::store::File;
use crate::stream::StreamEnd;
use crate::tx::Tx;

/// The writing connection, and what it remembers.
#[derive(Debug)]
pub(crate) struct Driver {
    file: Arc<File>,
    turnstile: Turnstile,
    slot: Slot,
    cache: WriterCache,
    names: Names,
    /// Held from the beginning of a transaction to its end.
    turn: Option<Pass>,
    is_begun: bool,
    indexing: Indexing,
    /// Disconnected when all readers of the store have closed.
    readers: Receiver<Infallible>,
}

impl Driver {
    /// Opens the log, or makes an empty one if there is no file. It is closed after
    /// those who hold the other end of `readers`.
    pub(crate) fn open(file: Arc<File>, readers: Receiver<Infallible>) -> Result<Self> {
        let mut slot = Slot::new(Arc::clone(&file), Role::Writer);
        slot.create()?;
        let mut indexing = Indexing::new(file.options().index_lag());
        let (indexed, head) = indexed_and_head(slot.opened()?.own())?;
        indexing.at(indexed, head);
        Ok(Self {
            turnstile: Turnstile::beside(file.path())?,
            file,
            slot,
            cache: WriterCache::default(),
            names: Names::default(),
            turn: None,
            is_begun: false,
            indexing,
            readers,
        })
    }

    fn begin(&mut self, by: Instant) -> Result<LogHead> {
        let waits_since = Instant::now();
        let turn = self.turnstile.enter(by)?;
        self.turn = Some(turn.ok_or_else(|| self.file.kept_out(waits_since.elapsed()))?);
        let Current { connection, is_new } = self.slot.current()?;
        if is_new {
            self.cache.forget();
            self.names = Names::default();
            self.indexing.at(0, 0);
        }
        // The wait for the turn counts: what is left of it is for SQLite's lock.
        let left = by.saturating_duration_since(Instant::now());
        let begun = connection
            .own()
            .busy_timeout(left)
            .and_then(|()| execute(connection.own(), sql::BEGIN_WRITE))
            .map_err(failed("begin a transaction"))
            .and_then(|()| head(connection.own()));
        match begun {
            Ok(head) => {
                self.cache.begin(head);
                self.is_begun = true;
                self.indexing.log_is_at(position_to_sql(head.position));
                Ok(head.log_head())
            }
            Err(error) => {
                if error.kind() != ErrorKind::Busy || !connection.own().is_autocommit() {
                    // A new connection is the one state that is known.
                    self.slot.close();
                }
                Err(error)
            }
        }
    }

    /// The connection of the open transaction.
    pub(crate) fn connection(&mut self) -> Result<&mut Tx> {
        let connection = self.slot.opened()?;
        if connection.own().is_autocommit() { Err(not_open()) } else { Ok(connection) }
    }

    fn transaction(&mut self) -> Result<Transaction<'_>> {
        let connection = self.slot.opened()?;
        if connection.own().is_autocommit() {
            return Err(not_open());
        }
        Ok(Transaction {
            connection: connection.own(),
            cache: &mut self.cache,
            names: &mut self.names,
        })
    }

    fn commit(&mut self) -> Result<CommitOutcome> {
        let connection = self.slot.opened()?;
        let outcome = match execute(connection.own(), sql::COMMIT) {
            Ok(()) => {
                if let Err(error) = self.slot.check_committed() {
                    return Ok(CommitOutcome::Unknown(error));
                }
                self.indexing.log_is_at(position_to_sql(self.cache.head().position));
                self.cache.commit();
                (self.turn, self.is_begun) = (None, false);
                CommitOutcome::Committed
            }
            Err(error) if is_certain(connection.own(), &error) => {
                CommitOutcome::NotCommitted(failed("commit")(error))
            }
            Err(error) => CommitOutcome::Unknown(failed("commit")(error)),
        };
        Ok(outcome)
    }

    fn keep_up(&mut self) -> Result<()> {
        let began = Instant::now();
        let connection = self.slot.opened()?;
        // Another process may have been here.
        let (indexed, head) = indexed_and_head(connection.own())?;
        self.indexing.at(indexed, head);
        if let Some(step) = self.indexing.step() {
            index(connection.own(), step)?;
            self.indexing.took(step, began.elapsed());
        }
        Ok(())
    }

    /// Some errors have rolled the transaction back already, silently: nothing
    /// goes on in such a connection.
    fn discard(&mut self) {
        if let Ok(connection) = self.slot.opened() {
            // A job may have been left by a panic.
            let is_reset = connection.unguarded().is_ok();
            let is_open = self.is_begun && !connection.own().is_autocommit();
            let is_rolled_back = is_open && execute(connection.own(), sql::ROLLBACK).is_ok();
            if !is_reset || (self.is_begun && !is_rolled_back) {
                self.slot.close();
            }
        }
        self.cache.forget();
        self.names = Names::default();
        (self.turn, self.is_begun) = (None, false);
    }
}

impl commit::Driver for Driver {
    type Tx = Tx;

    const BLOCKING: bool = true;

    const LINGER: Linger = Linger::InTransaction;

    async fn begin(&mut self, by: Instant) -> Result<LogHead> {
        self.begin(by)
    }

    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        self.transaction()?.facts(needs)
    }

    async fn read(&mut self, read: Read) -> Result<Page> {
        let connection = self.slot.opened()?;
        page(&mut Snapshot::of(connection.own(), &mut self.names)?, &read)
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.transaction()?.insert(plan)
    }

    fn is_wanted(&mut self) -> bool {
        self.turn.as_ref().is_some_and(Pass::is_wanted)
    }

    async fn tx(&mut self) -> Result<&mut Tx> {
        self.connection()
    }

    async fn check(&mut self, expected: LogHead) -> Result<()> {
        check_head(&head(self.connection()?.own())?, expected)
    }

    async fn commit(&mut self) -> CommitOutcome {
        self.commit().unwrap_or_else(CommitOutcome::NotCommitted)
    }

    async fn discard(&mut self) {
        self.discard();
    }

    fn upkeep(&self) -> Upkeep {
        self.indexing.wanted()
    }

    async fn keep_up(&mut self) -> Result<()> {
        self.keep_up()
    }

    async fn close(mut self) {
        // Connections that close at the same time leave the WAL to each other.
        let _ = self.readers.recv();
        self.slot.close_last();
    }
}

fn execute(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.execute(()).map(drop)
}

/// A transaction that is still open, or whose last page did not fit the disk,
/// was not committed. The outcome of any other that failed is unknown.
fn is_certain(connection: &Connection, error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    !connection.is_autocommit() || is_full(code)
}

/// A transaction that has begun.
struct Transaction<'a> {
    connection: &'a Connection,
    cache: &'a mut WriterCache,
    names: &'a mut Names,
}

impl Transaction<'_> {
    fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        let mut facts = Facts::default();
        for stream in &needs.streams {
            if let Some(tail) = self.tail(stream)? {
                facts.streams.insert((*stream).clone(), tail.chain.version());
            }
        }
        self.known_events(&needs.ids, &mut facts)?;
        Ok(facts)
    }

    fn tail(&mut self, stream: &StreamId) -> Result<Option<&mut Tail>> {
        if self.cache.tail(stream).is_none() {
            let Some(tail) = self.fetch_tail(stream)? else { return Ok(None) };
            self.cache.put_tail(stream.clone(), tail);
        }
        Ok(self.cache.tail(stream))
    }

    fn fetch_tail(&self, stream: &StreamId) -> Result<Option<Tail>> {
        let row = self
            .connection
            .prepare_cached(sql::STREAM_HEAD)
            .and_then(|mut statement| {
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                statement.query_row([stream.as_str()], read).optional()
            })
            .map_err(failed("look up a stream"))?;
        row.map(|row| {
            let StreamEnd { key, version, position } = StreamEnd::from_sql(row)?;
            Ok(Tail { key, chain: Chain::of_head(version, position) })
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
        if let Some(id) = self.cache.max_id() {
            return Ok(Some(id));
        }
        let id: Option<Vec<u8>> = self
            .connection
            .prepare_cached(sql::MAX_ID)
            .and_then(|mut statement| statement.query_row((), |row| row.get(0)).optional())
            .map_err(failed("look up the highest id"))?;
        let id = id.map(|id| id_from_sql(&id)).transpose()?;
        if let Some(id) = id {
            self.cache.put_id(id);
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
        self.names.check(self.connection, self.cache.head())?;
        self.names.event(self.connection, &row).map(Some)
    }

    fn insert(&mut self, plan: &Plan) -> Result<()> {
        let connection = self.connection;
        let mut statement =
            connection.prepare_cached(sql::ADD_EVENT).map_err(failed("store an event"))?;
        for event in &plan.rows {
            let links = self.links(event.stream())?;
            let tail = match self.cache.tail(event.stream()) {
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
        self.cache.append(&plan.rows);
        self.set_stream_heads(plan)?;
        self.set_head()
    }

    fn links(&mut self, stream: &StreamId) -> Result<Links> {
        let Some(tail) = self.cache.tail(stream) else { return Ok(Chain::FIRST) };
        loop {
            match tail.chain.next() {
                Next::Ready(links) => return Ok(links),
                Next::Fetch(version, position) => {
                    let of = [position_to_sql(position), tail.key, version_to_sql(version)];
                    let jump = self
                        .connection
                        .prepare_cached(sql::JUMP_AT)
                        .and_then(|mut it| it.query_row(of, |row| row.get(0)).optional())
                        .map_err(failed("follow a link"))?
                        .ok_or_else(|| broken(tail.key))?;
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
        Ok(self.cache.put_tail(stream.clone(), Tail { key, chain }))
    }

    fn type_key(&mut self, event_type: &EventType) -> Result<i64> {
        if let Some(key) = self.cache.type_key(event_type) {
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
        self.cache.put_type(event_type.clone(), key);
        Ok(key)
    }

    fn set_stream_heads(&mut self, plan: &Plan) -> Result<()> {
        let doing = "store the head of a stream";
        let mut statement =
            self.connection.prepare_cached(sql::SET_STREAM_HEAD).map_err(failed(doing))?;
        for (key, head) in self.cache.written(plan) {
            let parameters = (key, version_to_sql(head.version), position_to_sql(head.position));
            statement.execute(parameters).map_err(failed(doing))?;
        }
        Ok(())
    }

    fn set_head(&self) -> Result<()> {
        let HeadRow { position, id, recorded_at, generation } = self.cache.head();
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
