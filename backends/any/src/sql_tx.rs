use std::fmt::Debug;

use async_trait::async_trait;
use downlink::{BoxError, Result};
use serde::de::DeserializeOwned;

use crate::row::Row;
use crate::value::Value;

/// The language of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// The transaction of a read model, whatever the store.
///
/// Parameters are numbered, `?1` and `?2`, as in SQLite: in PostgreSQL, they become `$1` and `$2`. So a
/// question mark cannot be followed by a digit for another reason. Everything else is up to the statement:
/// [`dialect`](Self::dialect) tells databases apart where their languages differ.
///
/// # Cancel safety
///
/// What a statement has done is unknown if its future is dropped. Return an error then, so that the
/// transaction is rolled back.
#[async_trait]
pub trait SqlTx: Debug + Send {
    /// The language of the database.
    fn dialect(&self) -> Dialect;

    /// Runs one statement with these parameters, and returns how many rows an INSERT, UPDATE or DELETE has
    /// written. The rows that it returns are dropped.
    ///
    /// # Errors
    ///
    /// Those of the driver.
    async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, BoxError>;

    /// Runs a query with these parameters, and returns all its rows.
    ///
    /// # Errors
    ///
    /// Those of the driver, and a column of PostgreSQL whose type is none of those of [`Value`], booleans and
    /// JSON: cast it to one of them, such as `text`.
    async fn fetch(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, BoxError>;
}

/// The transaction in which read models are written and read, whatever the store.
pub type Tx = dyn SqlTx;

impl Tx {
    /// The rows of a query as structs; see [`Row::decode`].
    ///
    /// # Errors
    ///
    /// As [`fetch`](SqlTx::fetch) and [`Row::decode`].
    pub async fn fetch_as<T: DeserializeOwned>(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<T>, BoxError> {
        let rows = self.fetch(sql, values).await?;
        Ok(rows.into_iter().map(Row::decode).collect::<Result<_>>()?)
    }
}
