use async_trait::async_trait;
use downlink::BoxError;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, Column, Encode, PgConnection, Postgres, Row as _, Type, TypeInfo, ValueRef,
};

use crate::row::Row;
use crate::sql_tx::{Dialect, SqlTx};
use crate::sqlx_tx::names;
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
        let rows = bound(sql, values).fetch_all(self).await?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let columns = names(first.columns());
        let row = |row: &PgRow| {
            let values = (0..columns.len()).map(|column| value(row, column));
            Ok(Row { columns: columns.clone(), values: values.collect::<Result<_, _>>()? })
        };
        rows.iter().map(row).collect()
    }
}

/// A `NULL` whose type the server infers, as that of a literal.
struct Untyped;

impl Type<Postgres> for Untyped {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

fn bound(sql: &str, values: Vec<Value>) -> sqlx::query::Query<'_, Postgres, PgArguments> {
    // The statement comes from the application, which is free to run any.
    let query = sqlx::query(AssertSqlSafe(statement(sql, &values)));
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(Untyped),
        Value::Integer(number) => query.bind(number),
        Value::Real(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Blob(bytes) => query.bind(bytes),
    })
}

/// The statement in the language of PostgreSQL, with a comment that names the types of its parameters: a prepared
/// statement has one type for each parameter, and the driver finds it by its text.
fn statement(sql: &str, values: &[Value]) -> String {
    let mut text = String::with_capacity(sql.len() + values.len() + 4);
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('?') {
        text += before;
        text.push(if after.starts_with(|next: char| next.is_ascii_digit()) { '$' } else { '?' });
        rest = after;
    }
    text += rest;
    text += "\n--";
    text.extend(values.iter().map(|value| match value {
        Value::Null => 'n',
        Value::Integer(_) => 'i',
        Value::Real(_) => 'r',
        Value::Text(_) => 't',
        Value::Blob(_) => 'b',
    }));
    text
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
    fn parameters_are_numbered_as_postgres_does() {
        let values = [Value::Null, Value::from("JFK"), Value::Integer(1)];
        assert_eq!(
            statement("SELECT ?1, tags ? 'a' WHERE ?12 = ?3", &values),
            "SELECT $1, tags ? 'a' WHERE $12 = $3\n--nti"
        );
        assert_eq!(statement("", &[]), "\n--");
    }
}
