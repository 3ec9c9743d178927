//! Where events of other logs are.

use downlink::Result;
use downlink::store::Moved;
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::{moved_from_sql, sql};
use sqlx::SqliteConnection;

use crate::error::failed;
use crate::row::column;

/// Stores where events of another log are.
pub(crate) async fn set(connection: &mut SqliteConnection, moved: &Moved) -> Result<()> {
    sqlx::query(sql::SET_MOVED)
        .bind(&moved.source)
        .bind(position_to_sql(moved.old_from))
        .bind(position_to_sql(moved.old_to))
        .bind(position_to_sql(moved.new_from))
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed("store where events were moved to"))
}

/// Where all of them are.
pub(crate) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Moved>> {
    let rows = sqlx::query(sql::ALL_MOVED).fetch_all(connection).await;
    let rows = rows.map_err(failed("read where events were moved to"))?;
    rows.iter()
        .map(|row| {
            let positions = [column(row, 1)?, column(row, 2)?, column(row, 3)?];
            moved_from_sql(column(row, 0)?, positions)
        })
        .collect()
}
