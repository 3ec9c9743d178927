//! Statements without rows, and parameters as sqlx binds them.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Sqlite, SqliteConnection, Type};

use downlink::commit::StreamHead;
use downlink::{Event, Result};
use downlink_sqlite_schema::links::Links;
use downlink_sqlite_schema::number::{position_to_sql, to_sql, version_to_sql};
use downlink_sqlite_schema::{HeadRow, NullableColumns, Value};

/// Runs a statement without parameters that stays prepared.
pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    text: &'static str,
) -> sqlx::Result<()> {
    sqlx::query(text).execute(connection).await.map(drop)
}

/// A JSON list as one parameter.
pub(crate) fn list<T: Into<serde_json::Value>>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().collect::<serde_json::Value>().to_string()
}

/// The parameters of a statement.
#[derive(Debug, Default)]
pub(crate) struct Values(SqliteArguments);

impl Values {
    pub(crate) fn with_capacity(values: usize) -> Self {
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
    pub(crate) fn push_event(&mut self, event: &Event, keys: &EventKeys) -> Result<()> {
        let NullableColumns { content_type, tags, metadata } = NullableColumns::of(event.content());
        self.push(position_to_sql(event.position()));
        self.push(&event.id().as_bytes()[..]);
        self.push(keys.stream);
        self.push(version_to_sql(event.version()));
        self.push(position_to_sql(keys.links.prev));
        self.push(position_to_sql(keys.links.jump));
        self.push(keys.event_type);
        self.push(to_sql(event.recorded_at().as_micros())?);
        self.push(content_type);
        self.push(tags);
        self.push(metadata);
        self.push(&event.payload()[..]);
        Ok(())
    }

    /// Rows that the statement skips.
    pub(crate) fn push_no_events(&mut self, count: usize) {
        self.push_nulls(12 * count);
    }

    pub(crate) fn push_stream_head(&mut self, key: i64, head: &StreamHead) {
        self.push(key);
        self.push(version_to_sql(head.version));
        self.push(position_to_sql(head.position));
    }

    /// Rows that the statement skips.
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

/// What the row of a new event needs besides the event: the keys of its names, and its links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventKeys {
    pub(crate) stream: i64,
    pub(crate) event_type: i64,
    pub(crate) links: Links,
}
