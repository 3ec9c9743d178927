//! Where events of other logs are.

use downlink::Result;
use downlink::store::Moved;
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::{moved_from_sql, sql};
use rusqlite::Connection;

use crate::error::failed;

/// Stores where events of another log are.
pub(crate) fn set(connection: &Connection, moved: &Moved) -> Result<()> {
    let [from, to, new] = [moved.old_from, moved.old_to, moved.new_from].map(position_to_sql);
    connection
        .prepare_cached(sql::SET_MOVED)
        .and_then(|mut statement| statement.execute((&moved.source, from, to, new)))
        .map(drop)
        .map_err(failed("store where events were moved to"))
}

/// Where all of them are.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Moved>> {
    let doing = "read where events were moved to";
    let mut statement = connection.prepare_cached(sql::ALL_MOVED).map_err(failed(doing))?;
    let rows =
        statement.query_map((), |row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?])));
    let rows = rows.map_err(failed(doing))?;
    rows.map(|row| row.map_err(failed(doing)).and_then(|(source, at)| moved_from_sql(source, at)))
        .collect()
}
