//! Snapshots of deciders, in the schema of the log.

use async_trait::async_trait;
use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink::{EventId, Result};
use futures::FutureExt;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::failed;
use crate::row::{
    bytes, column, corrupt, count_to_sql, id_to_sql, time_from_sql, time_to_sql, version_from_sql,
    version_to_sql,
};
use crate::sql::Statements;
use crate::statement::Value;
use crate::store::PostgresStore;

#[async_trait]
impl SnapshotStore for PostgresStore {
    async fn load(&self, key: &SnapshotKey, max_bytes: usize) -> Result<Option<Snapshot>> {
        let key = key.clone();
        self.readers()
            .find(move |connection, sql| {
                let key = key.clone();
                async move { load(connection, sql, &key, max_bytes).await }.boxed()
            })
            .await
    }

    /// On a connection for reads, so that no append waits for it.
    async fn save(&self, key: &SnapshotKey, snapshot: Snapshot) -> Result<()> {
        let key = key.clone();
        self.ask(move |connection, server| {
            async move { save(connection, &server.saves, &key, &snapshot).await }.boxed()
        })
        .await
    }
}

async fn load(
    connection: &mut PgConnection,
    sql: &Statements,
    key: &SnapshotKey,
    max_bytes: usize,
) -> Result<Option<Snapshot>> {
    let (stream, name) = (Value::Text(key.stream.as_str()), Value::Text(&key.name));
    let values = vec![stream, name, Value::Number(count_to_sql(max_bytes))];
    let rows = sql.run(connection, &sql.snapshot, values).await;
    rows.map_err(failed("load a snapshot"))?.first().map(row).transpose()
}

fn row(row: &PgRow) -> Result<Snapshot> {
    let schema = u32::try_from(column::<i64>(row, 0)?).map_err(|_| corrupt("schema version"))?;
    let version = version_from_sql(column(row, 1)?)?;
    let event = EventId::from_bytes(column::<Uuid>(row, 2)?.into_bytes());
    let recorded_at = time_from_sql(column(row, 3)?)?;
    Ok(Snapshot { schema, version, event, recorded_at, state: bytes(row, 4)? })
}

async fn save(
    connection: &mut PgConnection,
    sql: &Statements,
    key: &SnapshotKey,
    snapshot: &Snapshot,
) -> Result<()> {
    let Snapshot { schema, version, event, recorded_at, state } = snapshot;
    let values = vec![
        Value::Text(key.stream.as_str()),
        Value::Text(&key.name),
        Value::Number(i64::from(*schema)),
        Value::Number(version_to_sql(*version)),
        Value::Id(id_to_sql(*event)),
        Value::Number(time_to_sql(*recorded_at)),
        Value::Bytes(state),
    ];
    let saved = sql.run(connection, &sql.save_snapshot, values).await;
    saved.map(drop).map_err(failed("save a snapshot"))
}
