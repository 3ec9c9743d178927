use async_trait::async_trait;
use downlink::BoxError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, PgConnection, Postgres, Row as _, TypeInfo, ValueRef};

use crate::row::Row;
use crate::sql_tx::{Dialect, SqlTx};
use crate::sqlx_tx::rows_of;
use crate::value::Value;

#[async_trait]
impl SqlTx for PgConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, BoxError> {
        Ok(bound(sql, values).execute(self).await?.rows_affected())
    }

    async fn fetch(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, BoxError> {
        rows_of(&bound(sql, values).fetch_all(self).await?, value)
    }
}

fn bound(sql: &str, values: Vec<Value>) -> Query<'_, Postgres, PgArguments> {
    // The statement comes from the application, which is free to run any.
    let query = sqlx::query(AssertSqlSafe(statement(sql, &values)));
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query,
        Value::Integer(number) => query.bind(number),
        Value::Real(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Blob(bytes) => query.bind(bytes),
    })
}

/// The statement in the language of PostgreSQL. `NULL` stands in it as a literal, because a parameter has a type. A
/// comment names the types of the others: a prepared statement has one type for each, and the driver finds it by its
/// text.
fn statement(sql: &str, values: &[Value]) -> String {
    let mut text = String::with_capacity(sql.len() + values.len() + 4);
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('?') {
        text += before;
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (number, end) = after.split_at(digits);
        text += &parameter(number, values);
        rest = end;
    }
    text += rest;
    text += "\n--";
    text.extend(values.iter().filter_map(|value| match value {
        Value::Null => None,
        Value::Integer(_) => Some('i'),
        Value::Real(_) => Some('r'),
        Value::Text(_) => Some('t'),
        Value::Blob(_) => Some('b'),
    }));
    text
}

/// What takes the place of `?` and this number, which may be empty.
fn parameter(number: &str, values: &[Value]) -> String {
    let Ok(number) = number.parse::<usize>() else { return "?".to_owned() };
    let up_to_it = values.get(..number).unwrap_or_default();
    match up_to_it.last() {
        // The server says that there is no such parameter.
        None => format!("${number}"),
        Some(Value::Null) => "NULL".to_owned(),
        Some(_) => format!("${}", up_to_it.iter().filter(|value| **value != Value::Null).count()),
    }
}

fn value(row: &PgRow, column: usize) -> Result<Value, BoxError> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let type_info = raw.type_info();
    Ok(match type_info.name() {
        "BOOL" => Value::Integer(row.try_get::<bool, _>(column)?.into()),
        "INT2" => Value::Integer(row.try_get::<i16, _>(column)?.into()),
        "INT4" => Value::Integer(row.try_get::<i32, _>(column)?.into()),
        "INT8" => Value::Integer(row.try_get(column)?),
        "FLOAT4" => Value::Real(row.try_get::<f32, _>(column)?.into()),
        "FLOAT8" => Value::Real(row.try_get(column)?),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" => Value::Text(row.try_get(column)?),
        "JSON" => Value::Text(row.try_get_unchecked(column)?),
        "BYTEA" => Value::Blob(row.try_get(column)?),
        other => {
            let name = row.column(column).name();
            let message = format!(
                "the column {name:?} has the type {other}, which not every database has: cast it, \
                 for example to text or bigint"
            );
            return Err(message.into());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_that_are_not_null() {
        let values = [Value::Null, Value::from("JFK"), Value::Integer(1)];
        assert_eq!(
            statement("SELECT ?1, tags ? 'a' WHERE ?2 = ?3 OR ?12", &values),
            "SELECT NULL, tags ? 'a' WHERE $1 = $2 OR $12\n--ti"
        );
        assert_eq!(statement("", &[]), "\n--");
    }
}
