//! Where events of other logs are.

use downlink::Result;
use downlink::store::Moved;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::error::failed;
use crate::row::{column, position_from_sql, position_to_sql};
use crate::sql::Statements;
use crate::statement::Value;

/// Stores where events of another log are.
pub(crate) async fn set(
    connection: &mut PgConnection,
    sql: &Statements,
    moved: &Moved,
) -> Result<()> {
    let values = vec![
        Value::Text(&moved.source),
        Value::Number(position_to_sql(moved.old_from)),
        Value::Number(position_to_sql(moved.old_to)),
        Value::Number(position_to_sql(moved.new_from)),
    ];
    let set = sql.run(connection, &sql.set_moved, values).await;
    set.map(drop).map_err(failed("store where events were moved to"))
}

/// Where all of them are.
pub(crate) async fn all(connection: &mut PgConnection, sql: &Statements) -> Result<Vec<Moved>> {
    let rows = sql.run(connection, &sql.all_moved, Vec::new()).await;
    rows.map_err(failed("read where events were moved to"))?.iter().map(moved).collect()
}

fn moved(row: &PgRow) -> Result<Moved> {
    Ok(Moved {
        source: column(row, 0)?,
        old_from: position_from_sql(column(row, 1)?)?,
        old_to: position_from_sql(column(row, 2)?)?,
        new_from: position_from_sql(column(row, 3)?)?,
    })
}
