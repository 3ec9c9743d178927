//! Snapshots of deciders, in the file of the log.

use async_trait::async_trait;
use downlink::Result;
use downlink::commit::Ending;
use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink_sqlite_schema::number::{to_sql, version_to_sql};
use downlink_sqlite_schema::{snapshot_from_sql, sql};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use crate::error::failed;
use crate::row::column;
use crate::store::RusqliteStore;

#[async_trait]
impl SnapshotStore for RusqliteStore {
    async fn load(&self, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>> {
        let key = key.clone();
        self.snapshot(move |connection| load(connection, &key, max_bytes)).await
    }

    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()> {
        let (key, bytes) = (key.clone(), snapshot.state.len());
        self.write(bytes, move |tx| save(tx.raw(), &key, &snapshot).map(Ending::Commit)).await
    }
}

fn load(connection: &Connection, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>> {
    let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
    let read = |row: &rusqlite::Row<'_>| {
        let event = column(row, 2, ValueRef::as_blob)?;
        let state: Vec<u8> = row.get(4)?;
        Ok(snapshot_from_sql(row.get(0)?, row.get(1)?, event, row.get(3)?, state))
    };
    connection
        .prepare_cached(sql::SNAPSHOT)
        .and_then(|mut statement| {
            statement.query_row((key.stream.as_str(), &key.name, max_bytes), read).optional()
        })
        .map_err(failed("load a snapshot"))?
        .transpose()
}

fn save(tx: &Connection, key: &SnapshotKey, snapshot: &Snapshot) -> Result<()> {
    let Snapshot { schema, version, event, recorded_at, state } = snapshot;
    let (version, time) = (version_to_sql(*version), to_sql(recorded_at.as_micros())?);
    let (stream, event) = (key.stream.as_str(), &event.as_bytes()[..]);
    let row = (stream, &key.name, schema, version, event, time, &state[..]);
    tx.prepare_cached(sql::SAVE_SNAPSHOT)
        .and_then(|mut statement| statement.execute(row))
        .map(drop)
        .map_err(failed("save a snapshot"))
}
