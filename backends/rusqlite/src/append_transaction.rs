use downlink::commit::{Facts, Needs, Plan};
use downlink::{Event, EventId, EventType, Result, StreamId};
use downlink_sqlite_schema::links::{Chain, Links, Next, broken};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql, to_sql, version_to_sql};
use downlink_sqlite_schema::{HeadRow, NullableColumns, Tail, WriterCache, id_from_sql, sql};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::error::failed;
use crate::name_cache::NameCache;
use crate::row::event_row;
use crate::stream_page::StreamEnd;

/// An open transaction that appends: it looks up what the planner needs, and stores its
/// plan.
pub(crate) struct AppendTransaction<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) cache: &'a mut WriterCache,
    pub(crate) names: &'a mut NameCache,
}

impl AppendTransaction<'_> {
    pub(crate) fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
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

    /// Ids are compared as bytes, so those above the highest one are new, regardless of the
    /// clock.
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

    pub(crate) fn insert(&mut self, plan: &Plan) -> Result<()> {
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
                    tail.chain.add_jump(position_from_sql(jump)?);
                }
            }
        }
    }

    fn add_stream(&mut self, first: &Event) -> Result<&mut Tail> {
        let stream = first.stream();
        // A stream gets its key with its first event, which is this one.
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
