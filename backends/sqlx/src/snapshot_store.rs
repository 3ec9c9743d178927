//! Snapshots of deciders, in the file of the log.

use async_trait::async_trait;
use downlink::Result;
use downlink::commit::Ending;
use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink_sqlite_schema::number::{to_sql, version_to_sql};
use downlink_sqlite_schema::{snapshot_from_sql, sql};
use futures::FutureExt;
use sqlx::SqliteConnection;

use crate::error::failed;
use crate::row::column;
use crate::store::SqlxStore;

#[async_trait]
impl SnapshotStore for SqlxStore {
    async fn load(&self, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>> {
        let key = key.clone();
        self.ask(move |connection| async move { load(connection, &key, max_bytes).await }.boxed())
            .await
    }

    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()> {
        let (key, bytes) = (key.clone(), snapshot.state.len());
        self.write(bytes, move |tx| {
            async move { save(tx, &key, &snapshot).await.map(Ending::Commit) }.boxed()
        })
        .await
    }
}

async fn load(
    connection: &mut SqliteConnection,
    key: &SnapshotKey,
    max_bytes: usize,
) -> Result<Option<Snapshot>> {
    let row = sqlx::query(sql::SNAPSHOT)
        .bind(key.stream.as_str())
        .bind(&key.name)
        .bind(i64::try_from(max_bytes).unwrap_or(i64::MAX))
        .fetch_optional(connection)
        .await
        .map_err(failed("load a snapshot"))?;
    row.map(|row| {
        let (schema, version, time) = (column(&row, 0)?, column(&row, 1)?, column(&row, 3)?);
        snapshot_from_sql(schema, version, column(&row, 2)?, time, column::<Vec<u8>>(&row, 4)?)
    })
    .transpose()
}

async fn save(tx: &mut SqliteConnection, key: &SnapshotKey, snapshot: &Snapshot) -> Result<()> {
    let Snapshot { schema, version, event, recorded_at, state } = snapshot;
    sqlx::query(sql::SAVE_SNAPSHOT)
        .bind(key.stream.as_str())
        .bind(&key.name)
        .bind(schema)
        .bind(version_to_sql(*version))
        .bind(&event.as_bytes()[..])
        .bind(to_sql(recorded_at.as_micros())?)
        .bind(&state[..])
        .execute(tx)
        .await
        .map(drop)
        .map_err(failed("save a snapshot"))
}
