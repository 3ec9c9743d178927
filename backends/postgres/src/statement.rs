//! Statements with values, prepared or in one text.

use std::fmt::Write;

use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use crate::sql::Text;

/// A value of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Flag(bool),
    Number(i64),
    Text(&'a str),
    Texts(Vec<&'a str>),
    Bytes(&'a [u8]),
    Id(Uuid),
    Ids(Vec<Uuid>),
}

/// How statements with values reach the server.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Prepared once for each connection. The connection has a session of its own.
    Prepared,
    /// As one text that contains the values and begins with these settings. Neither a prepared
    /// statement nor a setting is left behind, and it takes one round trip.
    Inlined(String),
}

impl Form {
    /// Runs a statement, and returns its rows.
    pub(crate) async fn run(
        &self,
        connection: &mut PgConnection,
        text: &Text,
        values: Vec<Value<'_>>,
    ) -> sqlx::Result<Vec<PgRow>> {
        match self {
            Self::Prepared => prepared(text.sql(), values).fetch_all(connection).await,
            Self::Inlined(settings) => {
                sqlx::raw_sql(inlined(settings, text, &values)).fetch_all(connection).await
            }
        }
    }

    pub(crate) fn is_prepared(&self) -> bool {
        matches!(self, Self::Prepared)
    }
}

fn prepared(
    text: SqlStr,
    values: Vec<Value<'_>>,
) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
    values.into_iter().fold(sqlx::query(text), |query, value| match value {
        Value::Flag(value) => query.bind(value),
        Value::Number(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Texts(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::Id(value) => query.bind(value),
        Value::Ids(value) => query.bind(value),
    })
}

/// The text with a literal for each parameter. It is safe: the literals are escaped.
fn inlined(settings: &str, text: &Text, values: &[Value<'_>]) -> SqlStr {
    let mut parts = text.as_str().split('$');
    let mut sql = format!("{settings}{}", parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|char: char| !char.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let index: usize = number.parse().expect("a parameter has a number");
        push_literal(&mut sql, &values[index - 1]);
        sql.push_str(rest);
    }
    AssertSqlSafe(sql).into_sql_str()
}

fn push_literal(sql: &mut String, value: &Value<'_>) {
    match value {
        Value::Flag(value) => sql.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => push(sql, format_args!("'{value}'::bigint")),
        Value::Text(value) => push_text(sql, value),
        Value::Texts(values) => {
            sql.push_str("ARRAY[");
            for (index, value) in values.iter().enumerate() {
                sql.push_str(if index == 0 { "" } else { "," });
                push_text(sql, value);
            }
            sql.push_str("]::text[]");
        }
        Value::Bytes(value) => push_bytes(sql, value),
        Value::Id(value) => push(sql, format_args!("'{value}'::uuid")),
        Value::Ids(values) => {
            sql.push_str("'{");
            for (index, value) in values.iter().enumerate() {
                push(sql, format_args!("{}{value}", if index == 0 { "" } else { "," }));
            }
            sql.push_str("}'::uuid[]");
        }
    }
}

/// Without `format!`, which takes long for a megabyte.
fn push_bytes(sql: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    sql.reserve(2 * bytes.len());
    sql.push_str("decode('");
    for byte in bytes {
        sql.push(DIGITS[usize::from(byte >> 4)]);
        sql.push(DIGITS[usize::from(byte & 15)]);
    }
    sql.push_str("', 'hex')");
}

/// With every byte escaped that is not a letter or a digit. That is understood whatever
/// `standard_conforming_strings` and `backslash_quote` are.
fn push_text(sql: &mut String, text: &str) {
    sql.push_str("E'");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            sql.push(char::from(byte));
        } else {
            push(sql, format_args!("\\x{byte:02x}"));
        }
    }
    sql.push_str("'::text");
}

fn push(sql: &mut String, text: std::fmt::Arguments<'_>) {
    sql.write_fmt(text).expect("a string takes every text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_literals() {
        let text = Text::from("f($2, $1) $11".to_owned());
        let mut values = vec![Value::Number(-7), Value::Text("a'\\\u{e9}; $1")];
        values.extend((3..11).map(Value::Number));
        values.push(Value::Flag(true));
        let sql = inlined("SET x; ", &text, &values);
        assert_eq!(
            sql.as_str(),
            "SET x; f(E'a\\x27\\x5c\\xc3\\xa9\\x3b\\x20\\x241'::text, '-7'::bigint) true"
        );
    }

    #[test]
    fn lists_become_literals() {
        let text = Text::from("$1 $2 $3 $4 $5".to_owned());
        let id = Uuid::nil();
        let values = vec![
            Value::Texts(vec!["a", "b,"]),
            Value::Texts(Vec::new()),
            Value::Ids(vec![id, id]),
            Value::Ids(Vec::new()),
            Value::Bytes(b"\0'z"),
        ];
        let sql = inlined("", &text, &values);
        assert_eq!(
            sql.as_str(),
            format!(
                "ARRAY[E'a'::text,E'b\\x2c'::text]::text[] ARRAY[]::text[] '{{{id},{id}}}'::uuid[] \
                 '{{}}'::uuid[] decode('00277a', 'hex')"
            )
        );
    }
}
