//! Statements without rows, and values as rusqlite binds them.

use rusqlite::{Connection, types};

use downlink_sqlite_schema::Value;

/// Runs a statement without parameters that stays prepared.
pub(crate) fn execute(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.execute(()).map(drop)
}

/// A parameter as rusqlite binds it.
pub(crate) fn value(value: Value) -> types::Value {
    match value {
        Value::Integer(number) => types::Value::Integer(number),
        Value::Text(text) => types::Value::Text(text),
        Value::Blob(bytes) => types::Value::Blob(bytes),
    }
}
