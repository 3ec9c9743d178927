use std::fmt::Debug;

use async_trait::async_trait;
use downlink::BoxError;
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;
use sqlx::{AssertSqlSafe, PgConnection, SqliteConnection};

use super::model::Value;

/// A transaction of a driver, as far as the models need it. Statements are written for
/// SQLite, in what PostgreSQL understands, too, but for a few names.
#[async_trait]
pub(super) trait SqlTx: Debug + Send + 'static {
    /// Runs a statement with these parameters.
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<(), BoxError>;

    /// The JSON array that a query of an airport and an airline returns.
    async fn json(
        &mut self,
        sql: &'static str,
        airport: Option<&str>,
        airline: Option<&str>,
    ) -> Result<String, BoxError>;
}

#[async_trait]
impl SqlTx for downlink_rusqlite::Tx {
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<(), BoxError> {
        let values = params_from_iter(values.into_iter().map(SqlValue::from));
        self.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    async fn json(
        &mut self,
        sql: &'static str,
        airport: Option<&str>,
        airline: Option<&str>,
    ) -> Result<String, BoxError> {
        Ok(self.prepare_cached(sql)?.query_row((airport, airline), |row| row.get(0))?)
    }
}

impl From<Value> for SqlValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Number(number) => Self::Integer(number),
            Value::Nothing => Self::Null,
        }
    }
}

/// A statement of sqlx with its parameters. A macro, as its type depends on the database.
macro_rules! bound {
    ($sql:expr, $values:expr) => {
        $values.into_iter().fold(sqlx::query($sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Nothing => query.bind(None::<String>),
        })
    };
}

#[async_trait]
impl SqlTx for SqliteConnection {
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<(), BoxError> {
        bound!(sql, values).execute(self).await?;
        Ok(())
    }

    async fn json(
        &mut self,
        sql: &'static str,
        airport: Option<&str>,
        airline: Option<&str>,
    ) -> Result<String, BoxError> {
        Ok(sqlx::query_scalar(sql).bind(airport).bind(airline).fetch_one(self).await?)
    }
}

#[async_trait]
impl SqlTx for PgConnection {
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<(), BoxError> {
        bound!(AssertSqlSafe(for_postgres(sql)), values).execute(self).await?;
        Ok(())
    }

    async fn json(
        &mut self,
        sql: &'static str,
        airport: Option<&str>,
        airline: Option<&str>,
    ) -> Result<String, BoxError> {
        // An aggregate of no rows is null there.
        let sql = format!(
            "SELECT coalesce(rows, '[]')::text FROM ({}) AS all_of (rows)",
            for_postgres(sql)
        );
        Ok(sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(airport)
            .bind(airline)
            .fetch_one(self)
            .await?)
    }
}

fn for_postgres(sql: &str) -> String {
    sql.replace('?', "$")
        .replace(" STRICT, WITHOUT ROWID", "")
        .replace("json_group_array(", "json_agg(")
        .replace("json_object(", "json_build_object(")
}
