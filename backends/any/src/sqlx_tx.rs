use std::sync::Arc;

use async_trait::async_trait;
use downlink::BoxError;
use downlink_sqlx::Tx;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Column, Row as _, Sqlite, TypeInfo, ValueRef};

use crate::row::Row;
use crate::sql_tx::{Dialect, SqlTx};
use crate::value::Value;

#[async_trait]
impl SqlTx for Tx {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, BoxError> {
        Ok(bound(sql, values).execute(self).await?.rows_affected())
    }

    async fn fetch(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, BoxError> {
        rows_of(&bound(sql, values).fetch_all(self).await?, value)
    }
}

/// The rows that a driver of sqlx has found, with what it makes of the value in a column.
pub(crate) fn rows_of<R: sqlx::Row>(
    rows: &[R],
    value: fn(&R, usize) -> Result<Value, BoxError>,
) -> Result<Vec<Row>, BoxError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let names = first.columns().iter().map(|column| column.name().to_owned());
    let columns: Arc<[String]> = names.collect();
    let row = |row| {
        let values = (0..columns.len()).map(|column| value(row, column));
        Ok(Row { columns: Arc::clone(&columns), values: values.collect::<Result<_, _>>()? })
    };
    rows.iter().map(row).collect()
}

/// The statement comes from the application, which is free to run any.
fn bound(sql: &str, values: Vec<Value>) -> sqlx::query::Query<'_, Sqlite, SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Integer(number) => query.bind(number),
        Value::Real(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Blob(bytes) => query.bind(bytes),
    })
}

/// What SQLite has stored, whatever type the column declares.
fn value(row: &SqliteRow, column: usize) -> Result<Value, BoxError> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    Ok(match raw.type_info().name() {
        "REAL" => Value::Real(row.try_get_unchecked(column)?),
        "TEXT" => Value::Text(row.try_get_unchecked(column)?),
        "BLOB" => Value::Blob(row.try_get_unchecked(column)?),
        _ => Value::Integer(row.try_get_unchecked(column)?),
    })
}
