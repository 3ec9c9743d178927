use std::collections::HashMap;

use downlink::{Error, ErrorKind, EventType, Result, StreamId};
use downlink_sqlite_schema::{EventRow, HeadRow, TagCache, sql};
use rusqlite::{Connection, OptionalExtension};

use crate::error::failed;

/// How many names of each kind a connection caches.
const CAPACITY: usize = 65_536;

/// The names of streams and types by their keys, as one connection has looked them up.
///
/// Keys never change within a history. Each snapshot checks that the history is still the
/// same.
#[derive(Debug, Default)]
pub(crate) struct NameCache {
    streams: HashMap<i64, StreamId>,
    types: HashMap<i64, EventType>,
    tags: TagCache,
    seen: Option<HeadRow>,
}

impl NameCache {
    /// Clears the cache unless the history of this snapshot continues the one seen before.
    pub(crate) fn check(&mut self, connection: &Connection, head: &HeadRow) -> Result<()> {
        if self.seen.as_ref() == Some(head) {
            return Ok(());
        }
        if let Some(seen) = self.seen.replace(*head)
            && let Some(id) = seen.id
            && id_at(connection, seen.position)?.as_deref() != Some(id.as_bytes())
        {
            self.streams.clear();
            self.types.clear();
        }
        Ok(())
    }

    pub(crate) fn stream(&mut self, connection: &Connection, key: i64) -> Result<StreamId> {
        if let Some(name) = self.streams.get(&key) {
            return Ok(name.clone());
        }
        let name = StreamId::new(name_of(connection, sql::STREAM_NAME, key)?)?;
        make_room(&mut self.streams);
        self.streams.insert(key, name.clone());
        Ok(name)
    }

    pub(crate) fn event_type(&mut self, connection: &Connection, key: i64) -> Result<EventType> {
        if let Some(name) = self.types.get(&key) {
            return Ok(name.clone());
        }
        let name = EventType::new(name_of(connection, sql::TYPE_NAME, key)?)?;
        make_room(&mut self.types);
        self.types.insert(key, name.clone());
        Ok(name)
    }

    pub(crate) fn event(
        &mut self,
        connection: &Connection,
        row: &EventRow<'_>,
    ) -> Result<downlink::Event> {
        let stream = self.stream(connection, row.stream)?;
        let event_type = self.event_type(connection, row.event_type)?;
        row.to_event(stream, event_type, &mut self.tags)
    }
}

fn make_room<T>(names: &mut HashMap<i64, T>) {
    if names.len() >= CAPACITY {
        names.clear();
    }
}

fn name_of(connection: &Connection, text: &str, key: i64) -> Result<String> {
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
        .map_err(failed("look up a name"))?
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                format!("the file has an event with the key {key}, which has no name"),
            )
        })
}

/// The id of the event at a position.
pub(crate) fn id_at(
    connection: &Connection,
    position: downlink::Position,
) -> Result<Option<Vec<u8>>> {
    let position = downlink_sqlite_schema::number::position_to_sql(position);
    connection
        .prepare_cached(sql::ID_AT)
        .and_then(|mut statement| statement.query_row([position], |row| row.get(0)).optional())
        .map_err(failed("look up an event"))
}
