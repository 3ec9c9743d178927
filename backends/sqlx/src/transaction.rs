//! One transaction: the appends that wait, and those that come while it works.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use downlink::commit::{Boundary, BoundaryFact, Facts, Group, Needs, Plan};
use downlink::{
    Cursor, Error, Event, EventId, EventType, Filter, Mark, Read, Result, StreamId, Timestamp,
};
use downlink_sqlite_schema::links::{Chain, Links, Next};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql, version_from_sql};
use downlink_sqlite_schema::{HeadRow, Pass, Remembered, Tail, id_from_sql, is_full, many, sql};
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use crate::batch::{Batch, Batches};
use crate::error::{code, failed};
use crate::names::Names;
use crate::queue::Scan;
use crate::reader::{mark, page};
use crate::row::{Place, Values, column, event_rows, list, missing};
use crate::snapshot::Snapshot;

/// Why a transaction failed, as far as it matters for what was written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It did not begin: nobody's fault, and nothing was written.
    Begin(Error),
    /// It is not committed: nothing was written.
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
///
/// Some errors take the transaction back, silently, and sqlx does not know:
/// after each but `Busy` the connection has to be closed.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    memory: &mut Memory,
    batches: &mut Batches<'_>,
    turn: &Pass,
) -> Result<Vec<Plan>, Failure> {
    let transaction = Transaction::begin(connection, memory).await.map_err(Failure::Begin)?;
    let worked = transaction.work(batches, turn).await;
    let (plans, remember) = match worked {
        Ok(worked) => worked,
        Err(error) => {
            memory.remembered.forget();
            return Err(Failure::Work(error));
        }
    };
    if plans.iter().all(|plan| plan.rows.is_empty()) {
        let ended = execute(connection, sql::ROLLBACK).await;
        ended.map_err(failed("end a transaction")).map_err(Failure::Work)?;
    } else if let Err(error) = execute(connection, sql::COMMIT).await {
        memory.remembered.forget();
        let is_certain = is_certain(connection, &error).await;
        let error = failed("commit")(error);
        return Err(if is_certain { Failure::Work(error) } else { Failure::Commit(error, plans) });
    }
    remember.into_memory(&mut memory.remembered);
    Ok(plans)
}

pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    text: &'static str,
) -> sqlx::Result<()> {
    sqlx::query(text).execute(connection).await.map(drop)
}

/// A transaction that is still open, so that it can be taken back, or whose
/// last page did not fit the disk, was not committed. Of any other that failed
/// nobody knows.
pub(crate) async fn is_certain(connection: &mut SqliteConnection, error: &sqlx::Error) -> bool {
    code(error).is_some_and(is_full) || execute(connection, sql::ROLLBACK).await.is_ok()
}

/// A transaction that has begun.
struct Transaction<'a> {
    connection: &'a mut SqliteConnection,
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
    async fn begin(connection: &'a mut SqliteConnection, memory: &'a mut Memory) -> Result<Self> {
        let Memory { remembered, names } = memory;
        let snapshot = Snapshot::of(&mut *connection, names, many::BEGIN_WRITE, None).await?;
        let head = snapshot.head;
        remembered.check(&head);
        Ok(Self { connection, names, remembered, head, tails: HashMap::new() })
    }

    async fn work(
        mut self,
        batches: &mut Batches<'_>,
        turn: &Pass,
    ) -> Result<(Vec<Plan>, Remember)> {
        let mut plans = Vec::new();
        while let Some(Batch { group, scans, .. }) = batches.next(turn).await {
            plans.push(self.store(group, scans).await?);
        }
        Ok((plans, Remember { head: self.head, tails: self.tails }))
    }

    /// Decides one batch and stores what won, so that the next one finds it
    /// like everything else.
    async fn store(&mut self, group: &Group, scans: &[Scan]) -> Result<Plan> {
        let facts = self.facts(&group.needs(), scans).await?;
        let plan = group.decide(&facts, self.head.log_head(), Timestamp::now());
        if let Some(last) = plan.rows.last() {
            self.head = self.head.after(last);
            self.insert(&plan).await?;
        }
        if let Some(id) = plan.rows.iter().map(Event::id).max() {
            // Forgotten again if the transaction fails.
            self.remembered.put_id(id);
        }
        Ok(plan)
    }

    async fn facts(&mut self, needs: &Needs<'_>, scans: &[Scan]) -> Result<Facts> {
        let mut facts = Facts::default();
        self.fetch_tails(&needs.streams).await?;
        for stream in &needs.streams {
            if let Some(tail) = self.tails.get(*stream) {
                facts.streams.insert((*stream).clone(), tail.chain.version());
            }
        }
        self.known_events(&needs.ids, &mut facts).await?;
        let scans = scans.iter().copied().chain(std::iter::repeat(Scan::NotYet));
        for (boundary, scan) in needs.boundaries.iter().zip(scans) {
            facts.boundaries.push(self.boundary(boundary, scan).await?);
        }
        Ok(facts)
    }

    /// Looks up the ends of all streams that are not known, at once.
    async fn fetch_tails(&mut self, streams: &[&StreamId]) -> Result<()> {
        let mut unknown = Vec::new();
        for stream in streams {
            if self.tails.contains_key(*stream) {
                continue;
            }
            match self.remembered.take(stream) {
                Some(tail) => drop(self.tails.insert((*stream).clone(), tail)),
                None => unknown.push(stream.as_str()),
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let mut names: HashMap<i64, StreamId> = HashMap::new();
        for row in self.rows("look up streams", many::STREAM_TAILS, list(unknown)).await? {
            let (key, position) = (column(&row, 1)?, position_from_sql(column(&row, 3)?)?);
            if let Some(name) = column::<Option<String>>(&row, 0)? {
                let name = StreamId::new(name)?;
                let chain = Chain::of_head(version_from_sql(column(&row, 2)?)?, position);
                self.tails.insert(name.clone(), Tail { key, chain });
                names.insert(key, name);
            } else if let Some(tail) = names.get(&key).and_then(|name| self.tails.get_mut(name)) {
                tail.chain.learn(position);
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
        if let Some(id) = self.remembered.max_id() {
            return Ok(Some(id));
        }
        let row = sqlx::query(sql::MAX_ID)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(failed("look up the highest id"))?;
        let id = row.map(|row| id_from_sql(column(&row, 0)?)).transpose()?;
        if let Some(id) = id {
            self.remembered.put_id(id);
        }
        Ok(id)
    }

    /// Answers a boundary; what a reader has looked at before is trusted as
    /// far as it is still part of this log.
    async fn boundary(&mut self, boundary: &Boundary<'_>, scan: Scan) -> Result<BoundaryFact> {
        if let Err(error) = self.verify(boundary.after).await {
            return if error.is_other_history() {
                Ok(BoundaryFact::OtherHistory(error))
            } else {
                Err(error)
            };
        }
        let after = match scan {
            Scan::Found(cursor) if self.verify(cursor).await.is_ok() => {
                return Ok(BoundaryFact::Found(cursor));
            }
            Scan::ClearUpTo(cursor) if self.verify(cursor).await.is_ok() => cursor,
            _ => boundary.after,
        };
        let mut read = first_match(boundary.filter, after);
        loop {
            let page = page(&mut self.snapshot(mark(&read)).await?, &read).await?;
            if let Some(event) = page.events.first() {
                return Ok(BoundaryFact::Found(event.cursor()));
            }
            if !page.more {
                return Ok(BoundaryFact::Clear);
            }
            read = read.resume(page.scanned);
        }
    }

    async fn verify(&mut self, cursor: Cursor) -> Result<()> {
        self.snapshot(Some(Mark::Cursor(cursor))).await?.verify()
    }

    async fn snapshot(&mut self, mark: Option<Mark>) -> Result<Snapshot<'_>> {
        Snapshot::of(self.connection, self.names, many::STATE, mark).await
    }

    /// Stores the events of a plan, the ends of their streams, and the head.
    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        let streams = self.add_streams(&plan.rows).await?;
        let types = self.type_keys(&plan.rows).await?;
        let mut places = Vec::with_capacity(plan.rows.len());
        for event in &plan.rows {
            let event_type = types.get(event.event_type()).copied();
            let event_type = event_type.ok_or_else(|| missing("key for a type"))?;
            let (stream, links) = self.link(event, &streams).await?;
            places.push(Place { stream, event_type, links });
        }
        let mut written: Vec<&Tail> =
            plan.streams.iter().filter_map(|head| self.tails.get(&head.stream)).collect();
        // Neighbours share pages.
        written.sort_unstable_by_key(|tail| tail.key);
        let (mut events, mut tails) = (plan.rows.iter().zip(&places), written.into_iter());
        while events.len() > 0 {
            let chunk = many::chunk_for(events.len());
            let values = chunk_values(many::CHUNKS[chunk], &mut events, &mut tails, &self.head)?;
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
        new.retain(|stream| !self.tails.contains_key(*stream));
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
        unknown.retain(|name| match self.remembered.type_key(name) {
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
                self.remembered.put_type(name.clone(), key);
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
        if let Some(tail) = self.tails.get_mut(stream) {
            tail.chain.push(position);
            return Ok((tail.key, links));
        }
        let key = *new.get(stream).ok_or_else(|| missing("key for a stream"))?;
        let chain = Chain::of_head(event.version(), position);
        self.tails.insert(stream.clone(), Tail { key, chain });
        Ok((key, links))
    }

    async fn links(&mut self, stream: &StreamId) -> Result<Links> {
        let Some(tail) = self.tails.get_mut(stream) else { return Ok(Chain::FIRST) };
        loop {
            match tail.chain.next() {
                Next::Ready(links) => return Ok(links),
                Next::Fetch(position) => {
                    let row = sqlx::query(sql::LINKS_AT)
                        .bind(position_to_sql(position))
                        .fetch_optional(&mut *self.connection)
                        .await
                        .map_err(failed("follow a link"))?
                        .ok_or_else(|| missing("event that a link leads to"))?;
                    tail.chain.learn(position_from_sql(column(&row, 2)?)?);
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
    tails: &mut impl ExactSizeIterator<Item = &'p Tail>,
    head: &HeadRow,
) -> Result<Values> {
    let mut values = Values::with_room_for(15 * rows + 4);
    let spare = rows.saturating_sub(events.len());
    for (event, place) in events.take(rows) {
        values.push_event(event, place)?;
    }
    values.push_no_events(spare);
    let spare = rows.saturating_sub(tails.len());
    tails.take(rows).for_each(|tail| values.push_stream_head(tail));
    values.push_no_stream_heads(spare);
    values.push_head(head)?;
    Ok(values)
}

/// The first event that matches after a cursor, and nothing else.
pub(crate) fn first_match(filter: &Filter, after: Cursor) -> Read {
    Read::log().resume(after).filter(filter.clone()).limit(1)
}

fn hexadecimal(id: &EventId) -> String {
    format!("{:032x}", u128::from_be_bytes(*id.as_bytes()))
}
