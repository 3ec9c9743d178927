//! Rows as sqlx gives them, and values as it takes them.

use downlink::commit::StreamHead;
use downlink::{Error, ErrorKind, Event, Result};
use downlink_sqlite_schema::links::Links;
use downlink_sqlite_schema::number::{position_to_sql, to_sql, version_to_sql};
use downlink_sqlite_schema::packed::unpack;
use downlink_sqlite_schema::{EventRow, HeadRow, NullableColumns, Value};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Encode, Row, Sqlite, Type};

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

/// The events that the first column of these rows has, packed.
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

/// A list as one parameter.
pub(crate) fn list<T: Into<serde_json::Value>>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().collect::<serde_json::Value>().to_string()
}

/// The parameters of a statement.
#[derive(Debug, Default)]
pub(crate) struct Values(SqliteArguments);

impl Values {
    pub(crate) fn with_room_for(values: usize) -> Self {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(values, 0);
        Self(arguments)
    }

    pub(crate) fn push<'v>(&mut self, value: impl Encode<'v, Sqlite> + Type<Sqlite>) {
        self.0.add(value).expect("numbers, text and bytes can always be encoded");
    }

    pub(crate) fn push_value(&mut self, value: Value) {
        match value {
            Value::Integer(number) => self.push(number),
            Value::Text(text) => self.push(text),
            Value::Blob(bytes) => self.push(bytes),
        }
    }

    fn push_nulls(&mut self, count: usize) {
        for _ in 0..count {
            self.push(None::<i64>);
        }
    }

    /// The columns of [`EVENT_COLUMNS`](downlink_sqlite_schema::EVENT_COLUMNS).
    pub(crate) fn push_event(&mut self, event: &Event, place: &Place) -> Result<()> {
        let NullableColumns { content_type, tags, metadata } = NullableColumns::of(event.content());
        self.push(position_to_sql(event.position()));
        self.push(&event.id().as_bytes()[..]);
        self.push(place.stream);
        self.push(version_to_sql(event.version()));
        self.push(position_to_sql(place.links.prev));
        self.push(position_to_sql(place.links.jump));
        self.push(place.event_type);
        self.push(to_sql(event.recorded_at().as_micros())?);
        self.push(content_type);
        self.push(tags);
        self.push(metadata);
        self.push(&event.payload()[..]);
        Ok(())
    }

    /// Rows that are left out.
    pub(crate) fn push_no_events(&mut self, count: usize) {
        self.push_nulls(12 * count);
    }

    pub(crate) fn push_stream_head(&mut self, key: i64, head: &StreamHead) {
        self.push(key);
        self.push(version_to_sql(head.version));
        self.push(position_to_sql(head.position));
    }

    /// Rows that are left out.
    pub(crate) fn push_no_stream_heads(&mut self, count: usize) {
        self.push_nulls(3 * count);
    }

    pub(crate) fn push_head(&mut self, head: &HeadRow) -> Result<()> {
        self.push(position_to_sql(head.position));
        self.push(head.id.as_ref().map(|id| &id.as_bytes()[..]));
        self.push(to_sql(head.recorded_at.as_micros())?);
        self.push(to_sql(head.generation)?);
        Ok(())
    }
}

impl From<Values> for SqliteArguments {
    fn from(values: Values) -> Self {
        values.0
    }
}

/// What a new event has beside itself: the keys of its names, and its links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) stream: i64,
    pub(crate) event_type: i64,
    pub(crate) links: Links,
}

/// A statement that had to give a row gave none.
pub(crate) fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the file has no {what}: restore a backup"))
}
