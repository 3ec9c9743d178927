use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use downlink::commit::{Facts, Needs, Plan, StreamHead};
use downlink::{Event, EventId, EventType, Result, StreamId};
use downlink_sqlite_schema::links::{Chain, Links, Next, broken};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql, version_to_sql};
use downlink_sqlite_schema::{HeadRow, Tail, WriterCache, batch_sql, id_from_sql, sql};
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use crate::error::failed;
use crate::name_cache::NameCache;
use crate::row::{column, event_rows, missing};
use crate::statement::{EventKeys, Values, list};
use crate::stream_page::StreamEnd;

/// An open transaction that appends: it looks up what the planner needs, and stores its
/// plan.
pub(crate) struct AppendTransaction<'a> {
    pub(crate) connection: &'a mut SqliteConnection,
    pub(crate) cache: &'a mut WriterCache,
    pub(crate) names: &'a mut NameCache,
}

impl AppendTransaction<'_> {
    pub(crate) async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
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

    /// Looks up the ends of all streams that are not cached, with one statement.
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
        for row in self.rows("look up streams", batch_sql::STREAM_TAILS, list(unknown)).await? {
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
                    tail.chain.add_jump(jump);
                }
            }
        }
        Ok(())
    }

    /// Ids are compared as bytes, so those above the highest one are new, regardless of the
    /// clock.
    async fn known_events(&mut self, ids: &[EventId], facts: &mut Facts) -> Result<()> {
        let Some(highest) = self.highest_id().await? else { return Ok(()) };
        let ids: Vec<String> = ids.iter().filter(|id| **id <= highest).map(hexadecimal).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let rows = self.rows("look up events", batch_sql::EVENTS_WITH_IDS, list(ids)).await?;
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
    pub(crate) async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.cache.append(&plan.rows);
        let streams = self.add_streams(&plan.rows).await?;
        let types = self.type_keys(&plan.rows).await?;
        let mut keys = Vec::with_capacity(plan.rows.len());
        for event in &plan.rows {
            let event_type = types.get(event.event_type()).copied();
            let event_type = event_type.ok_or_else(|| missing("key for a type"))?;
            let (stream, links) = self.link(event, &streams).await?;
            keys.push(EventKeys { stream, event_type, links });
        }
        let written = self.cache.written(plan);
        let head = *self.cache.head();
        let (mut events, mut tails) = (plan.rows.iter().zip(&keys), written.into_iter());
        while events.len() > 0 {
            let chunk = batch_sql::chunk_for(events.len());
            let values = chunk_values(batch_sql::CHUNKS[chunk], &mut events, &mut tails, &head)?;
            sqlx::query_with(batch_sql::store_events(chunk), SqliteArguments::from(values))
                .execute(&mut *self.connection)
                .await
                .map_err(failed("store events"))?;
        }
        Ok(())
    }

    /// Adds a key for each stream that has no event yet.
    async fn add_streams(&mut self, rows: &[Event]) -> Result<HashMap<StreamId, i64>> {
        let mut new = distinct(rows.iter().map(Event::stream));
        new.retain(|stream| self.cache.tail(stream).is_none());
        if new.is_empty() {
            return Ok(HashMap::new());
        }
        let names = list(new.iter().map(|stream| stream.as_str()));
        let rows = self.rows("store names", batch_sql::ADD_STREAMS, names).await?;
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
        for text in [batch_sql::TYPE_KEYS, batch_sql::ADD_TYPES] {
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

    /// The key of an event's stream, and the event's links. Makes the event the last one of its
    /// stream.
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
                    tail.chain.add_jump(position_from_sql(column(&row, 0)?)?);
                }
            }
        }
    }

    /// All rows of a statement with a list as its parameter.
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

/// Removes duplicates and keeps the order.
fn distinct<T: Copy + Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|one| seen.insert(*one)).collect()
}

/// The parameters of one [`batch_sql::store_events`] with this number of rows.
fn chunk_values<'p>(
    rows: usize,
    events: &mut impl ExactSizeIterator<Item = (&'p Event, &'p EventKeys)>,
    tails: &mut impl ExactSizeIterator<Item = (i64, &'p StreamHead)>,
    head: &HeadRow,
) -> Result<Values> {
    let mut values = Values::with_capacity(15 * rows + 4);
    let spare = rows.saturating_sub(events.len());
    for (event, keys) in events.take(rows) {
        values.push_event(event, keys)?;
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
