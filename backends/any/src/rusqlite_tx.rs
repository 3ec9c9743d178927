use async_trait::async_trait;
use downlink::BoxError;
use downlink_rusqlite::Tx;
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use crate::row::Row;
use crate::sql_tx::{Dialect, SqlTx};
use crate::value::Value;

#[async_trait]
impl SqlTx for Tx {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, BoxError> {
        let values = params_from_iter(values.into_iter().map(SqlValue::from));
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        while rows.next()?.is_some() {}
        Ok(self.changes())
    }

    async fn fetch(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, BoxError> {
        let mut statement = self.prepare_cached(sql)?;
        let names = statement.column_names().into_iter().map(str::to_owned);
        let columns = names.collect::<Vec<_>>().into();
        let values = params_from_iter(values.into_iter().map(SqlValue::from));
        let rows = statement.query_map(values, |row| row_of(&columns, row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn row_of(columns: &std::sync::Arc<[String]>, row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let value = |column| row.get::<_, SqlValue>(column).map(Value::from);
    let values = (0..columns.len()).map(value).collect::<Result<_, _>>()?;
    Ok(Row { columns: columns.clone(), values })
}

impl From<Value> for SqlValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Real(number) => Self::Real(number),
            Value::Text(text) => Self::Text(text),
            Value::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

impl From<SqlValue> for Value {
    fn from(value: SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Null,
            SqlValue::Integer(number) => Self::Integer(number),
            SqlValue::Real(number) => Self::Real(number),
            SqlValue::Text(text) => Self::Text(text),
            SqlValue::Blob(bytes) => Self::Blob(bytes),
        }
    }
}
