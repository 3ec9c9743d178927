//! Rows as rusqlite returns them.

use rusqlite::Row;
use rusqlite::types::{FromSqlError, FromSqlResult, Type, ValueRef};

use downlink_sqlite_schema::{EventRow, HeadRow};

/// The columns of [`EVENT_COLUMNS`](downlink_sqlite_schema::EVENT_COLUMNS).
pub(crate) fn event_row<'a>(row: &'a Row<'_>) -> rusqlite::Result<EventRow<'a>> {
    let integer = |index| column(row, index, ValueRef::as_i64);
    let nullable_blob = |index| column(row, index, ValueRef::as_blob_or_null);
    Ok(EventRow {
        position: integer(0)?,
        id: column(row, 1, ValueRef::as_blob)?,
        stream: integer(2)?,
        version: integer(3)?,
        prev: integer(4)?,
        jump: integer(5)?,
        event_type: integer(6)?,
        recorded_at: integer(7)?,
        content_type: column(row, 8, ValueRef::as_str_or_null)?,
        tags: nullable_blob(9)?,
        metadata: nullable_blob(10)?,
        payload: column(row, 11, ValueRef::as_blob)?,
    })
}

/// The columns of [`HEAD`](downlink_sqlite_schema::HEAD).
pub(crate) fn head_row(row: &Row<'_>) -> rusqlite::Result<downlink::Result<HeadRow>> {
    let id = column(row, 1, ValueRef::as_blob_or_null)?;
    Ok(HeadRow::from_sql(row.get(0)?, id, row.get(2)?, row.get(3)?))
}

/// A column, borrowed from the row.
pub(crate) fn column<'a, T>(
    row: &'a Row<'_>,
    index: usize,
    read: impl FnOnce(&ValueRef<'a>) -> FromSqlResult<T>,
) -> rusqlite::Result<T> {
    let value = row.get_ref(index)?;
    read(&value).map_err(|error| conversion(index, value.data_type(), error))
}

fn conversion(index: usize, found: Type, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, found, Box::new(error))
}
