use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::live::{Evaluated, Model, QueryStore, Work};
use downlink::projection::ProjectionRow;
use downlink::{BoxError, Cursor, Error, Result};
use downlink_sqlite_schema::{
    CancelOnDrop, INSTRUCTIONS_BETWEEN_CHECKS, QueryLimit, batch_sql, not_live,
    query_changed_connection, query_failed, query_panicked, sql,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::time::timeout;

use crate::error::{code_and_message, failed};
use crate::projections::{driver_error, live};
use crate::savepoint;
use crate::statement::execute;
use crate::store::SqlxStore;
use crate::tx::Tx;

/// The transaction of a query of a read model: a sqlx connection that reads one snapshot of
/// the file.
///
/// SQLite refuses every write. A query that ends its transaction or changes its connection
/// (attaches a database, sets a pragma) fails with `Invalid`, and its result is discarded.
/// Everything that a query reads is as of [`cursor`](Self::cursor).
pub struct ReadTx<'a> {
    connection: &'a mut SqliteConnection,
    version: u32,
    cursor: Cursor,
}

impl ReadTx<'_> {
    /// The live version of the projection. A program that supports several versions chooses
    /// its tables by it.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The cursor up to which the live version is built.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }
}

impl Deref for ReadTx<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection
    }
}

impl DerefMut for ReadTx<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection
    }
}

impl fmt::Debug for ReadTx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTx")
            .field("version", &self.version)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl SqlxStore {
    /// Queries the read model of the projection with this name. Returns the result of `work`
    /// and the cursor of the live version, both of one snapshot: the rows are the fold of the
    /// log up to the cursor. A client that subscribes from there misses nothing.
    ///
    /// `work` runs in a task and on a connection for queries. At most
    /// [`Options::with_readers`](crate::Options::with_readers) queries run at once, others
    /// wait. A query that takes longer than
    /// [`Options::with_query_limit`](crate::Options::with_query_limit), 5 s by default, is
    /// dropped, and SQLite is stopped.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](downlink::ErrorKind::Invalid) if there is no projection with this name, and
    ///   if `work` writes, or ends its transaction;
    /// - [`Unavailable`](downlink::ErrorKind::Unavailable) while no version of it is complete, and
    ///   if the store is closed or the file cannot be opened;
    /// - [`TooLarge`](downlink::ErrorKind::TooLarge) if it takes too long;
    /// - the error of `work`, if it is an [`Error`]; else
    ///   [`Backend`](downlink::ErrorKind::Backend) with its error as the source, also for a panic;
    /// - [`Busy`](downlink::ErrorKind::Busy) and [`Corrupt`](downlink::ErrorKind::Corrupt) as for a
    ///   read.
    ///
    /// # Cancel safety
    ///
    /// Has no effects. If the future is dropped, SQLite is stopped soon, and `work` is
    /// dropped at the query limit at the latest.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(store: downlink_sqlx::SqlxStore) -> downlink::Result<()> {
    /// use futures::FutureExt;
    ///
    /// let (departed, cursor) = store
    ///     .query("by_airport", |mut tx| {
    ///         async move {
    ///             let sql = "SELECT departed FROM by_airport_1 WHERE airport = 'EWR'";
    ///             Ok(sqlx::query_scalar::<_, u32>(sql).fetch_one(&mut *tx).await?)
    ///         }
    ///         .boxed()
    ///     })
    ///     .await?;
    /// println!("{departed} flights have left Newark, as of {cursor}");
    /// # Ok(()) }
    /// ```
    pub async fn query<T, F>(&self, projection: &str, work: F) -> Result<(T, Cursor)>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>> + Send + 'static,
    {
        let time = self.options().query_limit();
        let (value, row) = self.query_within(projection, time, work).await?;
        Ok((value, row.checkpoint))
    }

    /// Runs `work` in a transaction that reads, with the row of the live version.
    async fn query_within<T, F>(
        &self,
        projection: &str,
        time: Duration,
        work: F,
    ) -> Result<(T, ProjectionRow)>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>> + Send + 'static,
    {
        let id = ProjectionId::new(projection, 0)?;
        let (on_drop, cancelled) = CancelOnDrop::new();
        let answer = self.readers().query(move |connection| {
            let limit = QueryLimit::start(time, cancelled);
            async move { query(connection, &id, &limit, work).await }.boxed()
        });
        let answer = answer.await;
        drop(on_drop);
        answer
    }
}

#[async_trait]
impl QueryStore for SqlxStore {
    fn query_readers(&self) -> usize {
        self.options().readers()
    }

    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<Tx>,
    ) -> Result<Evaluated> {
        let evaluated = self
            .query_within(projection, limit, |tx| work(Model::new(tx.connection, tx.version)))
            .await;
        let ((), row) = evaluated?;
        Ok(Evaluated { version: row.version, checkpoint: row.checkpoint })
    }
}

/// Runs `work` in a transaction. After an error the caller closes the connection, and with it
/// the transaction.
async fn query<T, F>(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
    limit: &QueryLimit,
    work: F,
) -> Result<(T, ProjectionRow)>
where
    F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>>,
{
    let settings = begin(connection).await.map_err(failed(DOING))?;
    let row = find_live(connection, id).await?;
    stop_at(connection, limit).await.map_err(failed(DOING))?;
    let run = run(connection, id, &row, work);
    let value = timeout(limit.left(), run).await.unwrap_or_else(|_| Err(limit.too_slow(id)));
    if limit.has_stopped() {
        return Err(limit.too_slow(id));
    }
    let value = value?;
    end(connection, &settings).await.map_err(|_| query_changed_connection(id))?;
    Ok((value, row))
}

const DOING: &str = "query a read model";

/// Begins the transaction with a savepoint that can be released only in it. Returns the
/// settings of the connection.
async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<String> {
    execute(connection, sql::BEGIN_READ).await?;
    execute(connection, savepoint::open()).await?;
    settings(connection).await
}

async fn settings(connection: &mut SqliteConnection) -> sqlx::Result<String> {
    sqlx::query_scalar(batch_sql::SETTINGS).fetch_one(connection).await
}

/// Ends the transaction. Fails if it is not the one that was begun, or if the settings of the
/// connection have changed.
async fn end(connection: &mut SqliteConnection, before: &str) -> sqlx::Result<()> {
    connection.lock_handle().await?.remove_progress_handler();
    execute(connection, savepoint::release()).await?;
    execute(connection, sql::ROLLBACK).await?;
    let is_for_queries: bool =
        sqlx::query_scalar(batch_sql::IS_FOR_QUERIES).fetch_one(&mut *connection).await?;
    let is_unchanged = is_for_queries && settings(connection).await? == before;
    if is_unchanged { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

async fn find_live(connection: &mut SqliteConnection, id: &ProjectionId) -> Result<ProjectionRow> {
    if let Some(row) = live(connection, id).await? {
        return Ok(row);
    }
    let is_known = sqlx::query_scalar(sql::IS_PROJECTED)
        .bind(id.name())
        .fetch_one(connection)
        .await
        .map_err(failed("look up a projection"))?;
    Err(not_live(id, is_known))
}

async fn stop_at(connection: &mut SqliteConnection, limit: &QueryLimit) -> sqlx::Result<()> {
    let limit = limit.clone();
    let continues = move || !limit.must_stop();
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, continues);
    Ok(())
}

async fn run<T, F>(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
    row: &ProjectionRow,
    work: F,
) -> Result<T>
where
    F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>>,
{
    let tx = ReadTx { connection, version: row.version, cursor: row.checkpoint };
    match AssertUnwindSafe(async move { work(tx).await }).catch_unwind().await {
        Ok(result) => result.map_err(|error| refused(id, error)),
        Err(panic) => Err(query_panicked(id, &*panic)),
    }
}

fn refused(id: &ProjectionId, error: BoxError) -> Error {
    let cause = driver_error(&*error).and_then(code_and_message);
    query_failed(id, cause, error)
}
