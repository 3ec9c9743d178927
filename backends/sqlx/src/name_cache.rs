use std::collections::{HashMap, HashSet};

use downlink::{Error, ErrorKind, Event, EventType, Position, Result, StreamId};
use downlink_sqlite_schema::{EventRow, HeadRow, TagCache, batch_sql};
use sqlx::SqliteConnection;

use crate::error::failed;
use crate::row::column;
use crate::statement::list;

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
    /// The position of the event whose id [`check`](Self::check) needs.
    pub(crate) fn seen(&self) -> Option<Position> {
        self.seen.map(|seen| seen.position)
    }

    /// Clears the cache unless the history of this snapshot continues the one seen before:
    /// `found` is the id at [`seen`](Self::seen).
    pub(crate) fn check(&mut self, head: &HeadRow, found: Option<&[u8]>) {
        if let Some(seen) = self.seen.replace(*head)
            && let Some(id) = seen.id
            && found != Some(id.as_bytes())
        {
            self.streams.clear();
            self.types.clear();
        }
    }

    /// The events of these rows. Looks up all names that are not cached with one statement.
    pub(crate) async fn events(
        &mut self,
        connection: &mut SqliteConnection,
        rows: &[EventRow<'_>],
    ) -> Result<Vec<Event>> {
        let (streams, types) =
            (rows.iter().map(|row| row.stream), rows.iter().map(|row| row.event_type));
        learn(connection, batch_sql::STREAM_NAMES, &mut self.streams, streams).await?;
        learn(connection, batch_sql::TYPE_NAMES, &mut self.types, types).await?;
        rows.iter()
            .map(|row| {
                let stream = known(&self.streams, row.stream)?;
                let event_type = known(&self.types, row.event_type)?;
                row.to_event(stream, event_type, &mut self.tags)
            })
            .collect()
    }
}

fn known<T: Clone>(names: &HashMap<i64, T>, key: i64) -> Result<T> {
    names.get(&key).cloned().ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, format!("an event has the key {key}, which has no name"))
    })
}

async fn learn<T: TryFrom<String, Error = Error>>(
    connection: &mut SqliteConnection,
    text: &'static str,
    names: &mut HashMap<i64, T>,
    keys: impl Iterator<Item = i64> + Clone,
) -> Result<()> {
    let mut unknown: HashSet<i64> = keys.clone().filter(|key| !names.contains_key(key)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    if names.len() + unknown.len() > CAPACITY {
        names.clear();
        unknown = keys.collect();
    }
    let rows = sqlx::query(text)
        .bind(list(unknown))
        .fetch_all(connection)
        .await
        .map_err(failed("look up names"))?;
    for row in rows {
        names.insert(column(&row, 0)?, column::<String>(&row, 1)?.try_into()?);
    }
    Ok(())
}
