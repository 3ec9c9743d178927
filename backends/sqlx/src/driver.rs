//! The steps of a transaction that writes.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use downlink::commit::{
    self, CommitOutcome, Facts, Linger, LogHead, Needs, Plan, StreamHead, Upkeep,
};
use downlink::store::Page;
use downlink::{Error, ErrorKind, Event, EventId, EventType, Read, Result, StreamId};
use downlink_sqlite_schema::links::{Chain, Links, Next, broken};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql, version_to_sql};
use downlink_sqlite_schema::{
    HeadRow, Indexing, Pass, Tail, Turnstile, WriterCache, check_head, id_from_sql, is_full, many,
    not_open, sql,
};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Database, Sqlite, SqliteConnection};
use sqlx_core::transaction::TransactionManager;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::connection::{Current, Role, Slot};
use crate::error::{code, failed};
use crate::guard::Guard;
use crate::names::Names;
use crate::postings::{index, indexed_and_head};
use crate::reader::{closed, mark, page};
use crate::row::{Place, Values, column, event_rows, list, missing};
use crate::savepoint;
use crate::snapshot::{Snapshot, head};
use crate::store::File;
use crate::stream::StreamEnd;
use crate::tx::Tx;

/// The writing connection, and what it remembers.
#[derive(Debug)]
pub(crate) struct Driver {
    file: Arc<File>,
    turnstile: Arc<Turnstile>,
    slot: Slot,
    cache: WriterCache,
    names: Names,
    /// Held from the beginning of a transaction to its end.
    turn: Option<Pass>,
    guard: Guard,
    open: Open,
    indexing: Indexing,
    /// Cancelled when all readers of the store have closed.
    readers: CancellationToken,
}

/// The transaction that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    /// sqlx knows nothing of it.
    Plain,
    /// sqlx knows of it, and a job has it.
    Job,
}

impl Driver {
    /// Opens the log, or makes an empty one if there is no file. It is closed after
    /// `readers` are.
    pub(crate) async fn open(
        file: Arc<File>,
        guard: Guard,
        readers: CancellationToken,
    ) -> Result<Self> {
        let mut slot = Slot::new(Arc::clone(&file), Role::Writer(guard.clone()));
        slot.create().await?;
        let mut indexing = Indexing::new(file.options().index_lag());
        let (indexed, head) = indexed_and_head(slot.opened()?).await?;
        indexing.at(indexed, head);
        Ok(Self {
            turnstile: Arc::new(Turnstile::beside(file.path())?),
            file,
            slot,
            cache: WriterCache::default(),
            names: Names::default(),
            turn: None,
            guard,
            open: Open::None,
            indexing,
            readers,
        })
    }

    /// Waits until those that came before, in other processes, have written.
    /// Tells whether it had to wait.
    async fn wait_for_turn(&self, by: Instant) -> Result<(Pass, bool)> {
        if let Some(turn) = self.turnstile.try_enter()? {
            return Ok((turn, false));
        }
        let (turnstile, waits_since) = (Arc::clone(&self.turnstile), Instant::now());
        let entered = spawn_blocking(move || turnstile.enter(by)).await.map_err(|_| closed())??;
        let turn = entered.ok_or_else(|| self.file.kept_out(waits_since.elapsed()))?;
        Ok((turn, true))
    }

    fn transaction(&mut self) -> Result<Transaction<'_>> {
        let connection = self.slot.opened()?;
        Ok(Transaction { connection, cache: &mut self.cache, names: &mut self.names })
    }
}

impl commit::Driver for Driver {
    type Tx = Tx;

    const BLOCKING: bool = false;

    const LINGER: Linger = Linger::InTransaction;

    async fn begin(&mut self, by: Instant) -> Result<LogHead> {
        let (turn, has_waited) = self.wait_for_turn(by).await?;
        self.turn = Some(turn);
        let deadline = self.file.options().busy_deadline();
        let Current { connection, is_new } = self.slot.current().await?;
        if is_new {
            self.cache.forget();
            self.names = Names::default();
            self.indexing.at(0, 0);
        }
        if has_waited {
            // The wait for the turn counts: what is left of it is for SQLite's lock.
            wait_for_lock(connection, by.saturating_duration_since(Instant::now())).await?;
        }
        let begun = Snapshot::of(&mut *connection, &mut self.names, many::BEGIN_WRITE, None).await;
        let begun = begun.map(|snapshot| snapshot.head);
        let restored = if has_waited { wait_for_lock(connection, deadline).await } else { Ok(()) };
        match restored.and(begun) {
            Ok(head) => {
                self.cache.begin(head);
                self.open = Open::Plain;
                self.indexing.log_is_at(position_to_sql(head.position));
                Ok(head.log_head())
            }
            Err(error) => {
                if error.kind() != ErrorKind::Busy {
                    // A new connection is the one state that is known.
                    self.slot.close().await;
                }
                Err(error)
            }
        }
    }

    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        self.transaction()?.facts(needs).await
    }

    async fn read(&mut self, read: Read) -> Result<Page> {
        let connection = self.slot.opened()?;
        let state = Snapshot::of(connection, &mut self.names, many::STATE, mark(&read)).await;
        page(&mut state?, &read).await
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.transaction()?.insert(plan).await
    }

    fn is_wanted(&mut self) -> bool {
        self.turn.as_ref().is_some_and(Pass::is_wanted)
    }

    /// Lets sqlx know of the transaction, so that a job may nest others in it.
    async fn tx(&mut self) -> Result<&mut Tx> {
        if self.open == Open::Job {
            return self.slot.opened();
        }
        let connection = self.slot.opened()?;
        self.open = Open::Job;
        let begun = connection.begin_with(savepoint::open()).await;
        // It is ended by name, not by its guard.
        std::mem::forget(begun.map_err(failed("hand a transaction to a job"))?);
        self.slot.opened()
    }

    async fn check(&mut self, expected: LogHead) -> Result<()> {
        let is_job = self.open == Open::Job;
        let connection = self.slot.opened()?;
        if is_job {
            if !is_open(connection).await {
                return Err(not_open());
            }
            if Transactions::get_transaction_depth(connection) != 1 {
                let message = "a transaction that was nested in this one is still open: commit it, \
                               or roll it back";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        check_head(&head(connection).await?, expected)
    }

    async fn commit(&mut self) -> CommitOutcome {
        let connection = match self.slot.opened() {
            Ok(connection) => connection,
            Err(error) => return CommitOutcome::NotCommitted(error),
        };
        let is_job = self.open == Open::Job;
        // There is none in another transaction.
        if is_job && execute(connection, savepoint::release()).await.is_err() {
            return CommitOutcome::NotCommitted(not_open());
        }
        let committed = if is_job {
            Transactions::commit(connection).await
        } else {
            execute(connection, sql::COMMIT).await
        };
        match committed {
            Ok(()) => {
                if let Err(error) = self.slot.check_committed() {
                    return CommitOutcome::Unknown(error);
                }
                self.indexing.log_is_at(position_to_sql(self.cache.head().position));
                self.cache.commit();
                (self.turn, self.open) = (None, Open::None);
                CommitOutcome::Committed
            }
            // A transaction that is still open, or whose last page did not fit the disk, was
            // not committed. The outcome of any other that failed is unknown.
            Err(error) => {
                let is_certain =
                    code(&error).is_some_and(is_full) || roll_back(connection, is_job).await;
                let error = failed("commit")(error);
                if is_certain {
                    CommitOutcome::NotCommitted(error)
                } else {
                    CommitOutcome::Unknown(error)
                }
            }
        }
    }

    /// Some errors have rolled the transaction back already, silently, and sqlx
    /// does not know: nothing goes on in such a connection, nor in one that a
    /// job has used. A statement of the job that still runs is interrupted.
    async fn discard(&mut self) {
        if self.open == Open::Job {
            self.slot.close().await;
        }
        self.guard.reset();
        if self.open == Open::Plain
            && let Ok(connection) = self.slot.opened()
            && !roll_back(connection, false).await
        {
            self.slot.close().await;
        }
        self.cache.forget();
        self.names = Names::default();
        (self.turn, self.open) = (None, Open::None);
    }

    fn upkeep(&self) -> Upkeep {
        self.indexing.wanted()
    }

    async fn keep_up(&mut self) -> Result<()> {
        let began = Instant::now();
        let connection = self.slot.opened()?;
        // Another process may have been here.
        let (indexed, head) = indexed_and_head(connection).await?;
        self.indexing.at(indexed, head);
        if let Some(step) = self.indexing.step() {
            index(connection, step).await?;
            self.indexing.took(step, began.elapsed());
        }
        Ok(())
    }

    async fn close(mut self) {
        // Connections that close at the same time leave the WAL to each other.
        self.readers.cancelled().await;
        self.slot.close_last().await;
    }
}

type Transactions = <Sqlite as Database>::TransactionManager;

/// Has SQLite wait so long for its lock.
async fn wait_for_lock(connection: &mut SqliteConnection, time: Duration) -> Result<()> {
    let text = format!("PRAGMA busy_timeout = {}", time.as_millis());
    let set = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
    set.map(drop).map_err(failed("set how long to wait for the lock"))
}

/// Whether a job's transaction is still open. Its end is the end of the
/// connection, so it does no harm to begin another one.
pub(crate) async fn is_open(connection: &mut SqliteConnection) -> bool {
    // That SQLite refuses it is the one way to learn from sqlx that a transaction is open.
    execute(connection, "BEGIN").await.is_err()
}

/// Tells whether there was a transaction to roll back.
async fn roll_back(connection: &mut SqliteConnection, is_job: bool) -> bool {
    if is_job {
        Transactions::rollback(connection).await.is_ok()
    } else {
        execute(connection, sql::ROLLBACK).await.is_ok()
    }
}

pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    text: &'static str,
) -> sqlx::Result<()> {
    sqlx::query(text).execute(connection).await.map(drop)
}

/// A transaction that has begun.
struct Transaction<'a> {
    connection: &'a mut SqliteConnection,
    cache: &'a mut WriterCache,
    names: &'a mut Names,
}

impl Transaction<'_> {
    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        let mut facts = Facts::default();
        self.fetch_tails(&needs.streams).await?;
        for stream in &needs.streams {
            if let Some(tail) = self.cache.tail(stream) {
                facts.streams.insert((*stream).clone(), tail.chain.version());
            }
        }
        self.known_events(&needs.ids, &mut facts).await?;
        Ok(facts)
    }

    /// Looks up the ends of all streams that are not known, at once.
    async fn fetch_tails(&mut self, streams: &[&StreamId]) -> Result<()> {
        let unknown: Vec<&str> = streams
            .iter()
            .filter(|stream| self.cache.tail(stream).is_none())
            .map(|stream| stream.as_str())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut names: HashMap<i64, StreamId> = HashMap::new();
        for row in self.rows("look up streams", many::STREAM_TAILS, list(unknown)).await? {
            let end = StreamEnd::from_sql(column(&row, 1)?, column(&row, 2)?, column(&row, 3)?);
            if let Some(name) = column::<Option<String>>(&row, 0)? {
                let StreamEnd { key, version, position } = end?;
                let name = StreamId::new(name)?;
                let chain = Chain::of_head(version, position);
                self.cache.put_tail(name.clone(), Tail { key, chain });
                names.insert(key, name);
            } else {
                let (key, jump) = (column(&row, 1)?, position_from_sql(column(&row, 3)?)?);
                if let Some(tail) = names.get(&key).and_then(|name| self.cache.tail(name)) {
                    tail.chain.learn(jump);
                }
            }
        }
        Ok(())
    }

    /// Ids are compared as bytes, so those above the highest one are new,
    /// whatever the clock says.
    async fn known_events(&mut self, ids: &[EventId], facts: &mut Facts) -> Result<()> {
        let Some(highest) = self.highest_id().await? else { return Ok(()) };
        let ids: Vec<String> = ids.iter().filter(|id| **id <= highest).map(hexadecimal).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let rows = self.rows("look up events", many::EVENTS_WITH_IDS, list(ids)).await?;
        let events = self.names.events(self.connection, &event_rows(&rows)?).await?;
        facts.events.extend(events.into_iter().map(|event| (event.id(), event)));
        Ok(())
    }

    async fn highest_id(&mut self) -> Result<Option<EventId>> {
        if let Some(id) = self.cache.max_id() {
            return Ok(Some(id));
        }
        let row = sqlx::query(sql::MAX_ID)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(failed("look up the highest id"))?;
        let id = row.map(|row| id_from_sql(column(&row, 0)?)).transpose()?;
        if let Some(id) = id {
            self.cache.put_id(id);
        }
        Ok(id)
    }

    /// Stores the events of a plan, the ends of their streams, and the head.
    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.cache.append(&plan.rows);
        let streams = self.add_streams(&plan.rows).await?;
        let types = self.type_keys(&plan.rows).await?;
        let mut places = Vec::with_capacity(plan.rows.len());
        for event in &plan.rows {
            let event_type = types.get(event.event_type()).copied();
            let event_type = event_type.ok_or_else(|| missing("key for a type"))?;
            let (stream, links) = self.link(event, &streams).await?;
            places.push(Place { stream, event_type, links });
        }
        let written = self.cache.written(plan);
        let head = *self.cache.head();
        let (mut events, mut tails) = (plan.rows.iter().zip(&places), written.into_iter());
        while events.len() > 0 {
            let chunk = many::chunk_for(events.len());
            let values = chunk_values(many::CHUNKS[chunk], &mut events, &mut tails, &head)?;
            sqlx::query_with(many::store(chunk), SqliteArguments::from(values))
                .execute(&mut *self.connection)
                .await
                .map_err(failed("store events"))?;
        }
        Ok(())
    }

    /// Gives a key to each stream that has no event yet.
    async fn add_streams(&mut self, rows: &[Event]) -> Result<HashMap<StreamId, i64>> {
        let mut new = distinct(rows.iter().map(Event::stream));
        new.retain(|stream| self.cache.tail(stream).is_none());
        if new.is_empty() {
            return Ok(HashMap::new());
        }
        let names = list(new.iter().map(|stream| stream.as_str()));
        let rows = self.rows("store names", many::ADD_STREAMS, names).await?;
        rows.iter()
            .map(|row| Ok((StreamId::new(column::<&str>(row, 1)?)?, column(row, 0)?)))
            .collect()
    }

    /// The keys of the types of these events.
    async fn type_keys(&mut self, rows: &[Event]) -> Result<HashMap<EventType, i64>> {
        let mut unknown = distinct(rows.iter().map(Event::event_type));
        let mut keys = HashMap::new();
        unknown.retain(|name| match self.cache.type_key(name) {
            Some(key) => keys.insert((*name).clone(), key).is_some(),
            None => true,
        });
        for text in [many::TYPE_KEYS, many::ADD_TYPES] {
            if unknown.is_empty() {
                break;
            }
            let names = list(unknown.iter().map(|name| name.as_str()));
            for row in self.rows("look up types", text, names).await? {
                let (key, name) = (column(&row, 0)?, EventType::new(column::<&str>(&row, 1)?)?);
                self.cache.put_type(name.clone(), key);
                keys.insert(name, key);
            }
            unknown.retain(|name| !keys.contains_key(*name));
        }
        Ok(keys)
    }

    /// The key of an event's stream, and its links. The next event of the
    /// stream comes after it.
    async fn link(&mut self, event: &Event, new: &HashMap<StreamId, i64>) -> Result<(i64, Links)> {
        let (stream, position) = (event.stream(), event.position());
        let links = self.links(stream).await?;
        if let Some(tail) = self.cache.tail(stream) {
            tail.chain.push(position);
            return Ok((tail.key, links));
        }
        let key = *new.get(stream).ok_or_else(|| missing("key for a stream"))?;
        let chain = Chain::of_head(event.version(), position);
        self.cache.put_tail(stream.clone(), Tail { key, chain });
        Ok((key, links))
    }

    async fn links(&mut self, stream: &StreamId) -> Result<Links> {
        let Some(tail) = self.cache.tail(stream) else { return Ok(Chain::FIRST) };
        loop {
            match tail.chain.next() {
                Next::Ready(links) => return Ok(links),
                Next::Fetch(version, position) => {
                    let row = sqlx::query(sql::JUMP_AT)
                        .bind(position_to_sql(position))
                        .bind(tail.key)
                        .bind(version_to_sql(version))
                        .fetch_optional(&mut *self.connection)
                        .await
                        .map_err(failed("follow a link"))?
                        .ok_or_else(|| broken(tail.key))?;
                    tail.chain.learn(position_from_sql(column(&row, 0)?)?);
                }
            }
        }
    }

    /// All rows of a statement with a list.
    async fn rows(
        &mut self,
        doing: &str,
        text: &'static str,
        list: String,
    ) -> Result<Vec<SqliteRow>> {
        let query = sqlx::query(text).bind(list);
        query.fetch_all(&mut *self.connection).await.map_err(failed(doing))
    }
}

/// Each once, in the order in which they come.
fn distinct<T: Copy + Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|one| seen.insert(*one)).collect()
}

/// The parameters of one [`many::store`] with so many rows.
fn chunk_values<'p>(
    rows: usize,
    events: &mut impl ExactSizeIterator<Item = (&'p Event, &'p Place)>,
    tails: &mut impl ExactSizeIterator<Item = (i64, &'p StreamHead)>,
    head: &HeadRow,
) -> Result<Values> {
    let mut values = Values::with_room_for(15 * rows + 4);
    let spare = rows.saturating_sub(events.len());
    for (event, place) in events.take(rows) {
        values.push_event(event, place)?;
    }
    values.push_no_events(spare);
    let spare = rows.saturating_sub(tails.len());
    tails.take(rows).for_each(|(key, head)| values.push_stream_head(key, head));
    values.push_no_stream_heads(spare);
    values.push_head(head)?;
    Ok(values)
}

fn hexadecimal(id: &EventId) -> String {
    format!("{:032x}", u128::from_be_bytes(*id.as_bytes()))
}
