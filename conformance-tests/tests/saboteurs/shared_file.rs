use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use downlink::commit::{BoundaryFact, CommitFeed, Commits, Facts, Group, LogHead};
use downlink::event::Timestamp;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{
    Append, BoxError, Cursor, Error, ErrorKind, Event, EventId, EventStore, NewEvent, Position,
    Result, StreamId, Version,
};
use downlink_sqlite_schema::{FairLock, FairLockGuard};
use rusqlite::{Connection, ErrorCode, params};

use crate::shared_bug::SharedBug;
use crate::store_read;

const TABLE: &str = "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS log (position INTEGER \
                     PRIMARY KEY, id BLOB, stream TEXT, version INTEGER, type TEXT, time INTEGER)";

/// A small store in a SQLite file that is correct except for its bug. Each
/// append is a transaction of its own.
#[derive(Clone, Debug)]
pub(crate) struct SharedFile {
    feed: Arc<CommitFeed>,
    opened: Arc<Mutex<Opened>>,
}

#[derive(Debug)]
struct Opened {
    bug: Option<SharedBug>,
    feed: Arc<CommitFeed>,
    /// The end of the last notice of this handle.
    notified: Cursor,
    connection: Connection,
    fair_lock: FairLock,
    lock_timeout: Duration,
    /// The events that were read so far.
    events: Vec<Event>,
    remembered: HashMap<StreamId, Version>,
}

impl SharedFile {
    pub(crate) fn open(
        file: &Path,
        bug: Option<SharedBug>,
        lock_timeout: Duration,
    ) -> Result<Self> {
        let connection = Connection::open(file).map_err(broken)?;
        connection.busy_timeout(lock_timeout).map_err(broken)?;
        connection.execute_batch(TABLE).map_err(broken)?;
        let feed = Arc::new(CommitFeed::new());
        let opened = Opened {
            bug,
            feed: Arc::clone(&feed),
            notified: Cursor::START,
            connection,
            fair_lock: FairLock::open(file)?,
            lock_timeout,
            events: Vec::new(),
            remembered: HashMap::new(),
        };
        Ok(Self { feed, opened: Arc::new(Mutex::new(opened)) })
    }

    /// Runs on a blocking thread, because SQLite blocks.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Opened) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let opened = Arc::clone(&self.opened);
        let work = move || work(&mut locked(&opened));
        tokio::task::spawn_blocking(work).await.map_err(broken)?
    }
}

fn locked(opened: &Mutex<Opened>) -> MutexGuard<'_, Opened> {
    opened.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(error: impl Into<BoxError>) -> Error {
    Error::with_source(ErrorKind::Backend, "SQLite failed", error)
}

impl Opened {
    fn is(&self, bug: SharedBug) -> bool {
        self.bug == Some(bug)
    }

    fn append(&mut self, append: Append) -> Result<Appended> {
        let group = Group::new(vec![append]);
        let early = match self.bug {
            Some(SharedBug::ChecksBeforeItBegins) => Some(self.facts(&group)?),
            _ => None,
        };
        let _turn = self.turn()?;
        let begin =
            if self.is(SharedBug::BeginsDeferred) { "BEGIN DEFERRED" } else { "BEGIN IMMEDIATE" };
        self.execute(begin)?;
        let outcome = self.transact(&group, early);
        if outcome.is_err() && !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        outcome
    }

    fn turn(&self) -> Result<Option<FairLockGuard>> {
        if self.is(SharedBug::BeginsDeferred) || self.is(SharedBug::LeavesFairnessToSqlite) {
            return Ok(None);
        }
        let guard = self.fair_lock.lock(Instant::now() + self.lock_timeout)?;
        guard
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Busy, "other connections hold the lock"))
    }

    fn transact(&mut self, group: &Group, early: Option<Facts>) -> Result<Appended> {
        let now = self.facts(group)?;
        let facts = early.unwrap_or(now);
        let head = self
            .events
            .last()
            .map_or(LogHead::EMPTY, |last| LogHead::after(last.cursor(), last.recorded_at()));
        let mut plan = group.decide(&facts, head, Timestamp::now());
        for event in &plan.rows {
            self.insert(event)?;
        }
        self.execute("COMMIT")?;
        let heads = plan.streams.iter().map(|head| (head.stream.clone(), head.version));
        self.remembered.extend(heads);
        let from = if self.is(SharedBug::NotifiesFromItsOwnLastCommit) {
            self.notified
        } else {
            head.cursor
        };
        self.notified = plan.head.cursor;
        self.feed.committed(from, plan.rows.iter().cloned());
        plan.outcomes.remove(0)
    }

    fn facts(&mut self, group: &Group) -> Result<Facts> {
        self.refresh()?;
        let needs = group.needs();
        let mut facts = Facts::default();
        for event in &self.events {
            if needs.streams.contains(&event.stream()) {
                facts.streams.insert(event.stream().clone(), event.version());
            }
            if needs.ids.contains(&event.id()) {
                facts.events.insert(event.id(), event.clone());
            }
        }
        if self.is(SharedBug::CachesVersionsForever) {
            facts.streams.extend(self.remembered.clone());
        }
        facts.boundaries = needs.boundaries.iter().map(|_| BoundaryFact::Clear).collect();
        Ok(facts)
    }

    /// Reads what others have appended.
    fn refresh(&mut self) -> Result<()> {
        let last = self.events.last().map_or(0, |event| event.position().get().cast_signed());
        let sql = "SELECT position, id, stream, version, type, time FROM log WHERE position > ? \
                   ORDER BY position";
        let mut statement =
            self.connection.prepare_cached(sql).map_err(|error| self.sqlite_error(error))?;
        let rows = statement
            .query_map([last], |row| {
                let event_type: String = row.get(4)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, event_type, row.get(5)?))
            })
            .map_err(|error| self.sqlite_error(error))?;
        for row in rows {
            self.events.push(event(row.map_err(|error| self.sqlite_error(error))?)?);
        }
        Ok(())
    }

    fn insert(&self, event: &Event) -> Result<()> {
        let id = event.id();
        let row = params![
            event.position().get().cast_signed(),
            &id.as_bytes()[..],
            event.stream().as_str(),
            event.version().get().cast_signed(),
            event.event_type().as_str(),
            event.recorded_at().as_micros().cast_signed(),
        ];
        let sql = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)";
        let inserted =
            self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(row));
        inserted.map(drop).map_err(|error| self.sqlite_error(error))
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| self.sqlite_error(error))
    }

    fn sqlite_error(&self, error: rusqlite::Error) -> Error {
        let is_busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        if is_busy && !self.is(SharedBug::ReportsALockAsAFailure) {
            return Error::with_source(ErrorKind::Busy, "the database is locked", error);
        }
        broken(error)
    }
}

type Row = (i64, Vec<u8>, String, i64, String, i64);

fn event((position, id, stream, version, event_type, time): Row) -> Result<Event> {
    let content = NewEvent::json(event_type, "{}")?;
    let id = <[u8; 16]>::try_from(id).map_err(|_| broken("an id of another length"))?;
    let position = Position::new(position.cast_unsigned()).unwrap_or(Position::MAX);
    let version = Version::new(version.cast_unsigned()).unwrap_or(Version::FIRST);
    let time = Timestamp::from_micros(time.cast_unsigned());
    let content = content.with_id(EventId::from_bytes(id));
    Ok(Event::new(position, stream.try_into()?, version, time, content))
}

#[async_trait]
impl EventStore for SharedFile {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        self.run(|opened| opened.append(append)).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.run(move |opened| {
            opened.refresh()?;
            store_read::read_log(&opened.events, &read, None)
        })
        .await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.run(move |opened| {
            opened.refresh()?;
            Ok(store_read::read_stream(&opened.events, &read, None))
        })
        .await
    }

    async fn head(&self) -> Result<Cursor> {
        self.run(|opened| {
            opened.refresh()?;
            Ok(opened.events.last().map_or(Cursor::START, Event::cursor))
        })
        .await
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.feed.subscribe())
    }
}
