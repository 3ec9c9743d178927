//! Rows as sqlx returns them.

use downlink::{Error, ErrorKind, Result};
use downlink_sqlite_schema::packed::unpack;
use downlink_sqlite_schema::{EventRow, HeadRow};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

use crate::error::failed;

/// A column of a row.
pub(crate) fn column<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(index).map_err(failed("read a row"))
}

/// The columns of [`HEAD`](downlink_sqlite_schema::HEAD).
pub(crate) fn head_row(row: &SqliteRow) -> Result<HeadRow> {
    let id: Option<&[u8]> = column(row, 1)?;
    HeadRow::from_sql(column(row, 0)?, id, column(row, 2)?, column(row, 3)?)
}

/// The packed events in the first column of these rows.
pub(crate) fn event_rows(rows: &[SqliteRow]) -> Result<Vec<EventRow<'_>>> {
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let value: Option<&[u8]> = column(row, 0)?;
        for event in unpack(value.unwrap_or_default()) {
            events.push(event?);
        }
    }
    Ok(events)
}

/// The error of a statement that must return a row and returned none.
pub(crate) fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the file has no {what}: restore a backup"))
}
